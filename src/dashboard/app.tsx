import { useSignal } from "@preact/signals";
import { DecisionsPage } from "./pages/decisions/decisions-page.tsx";
import { EventsPage } from "./pages/events/events-page.tsx";
import { ExplainPage } from "./pages/explain/explain-page.tsx";
import { OverviewPage } from "./pages/overview/overview-page.tsx";
import { PlanPage } from "./pages/plan/plan-page.tsx";
import { ReleasePage } from "./pages/release/release-page.tsx";
import { linkTo, type Place } from "./places.ts";
import { place } from "./router.ts";
import { connect, connection, isStale, releases } from "./store/live.ts";
import { isSignedIn, signOut } from "./store/session.ts";
import { nextTheme, theme } from "./theme.ts";
import { SignInDialog, SignInForm } from "./ui/sign-in.tsx";
import { StateNotices } from "./ui/state-notices.tsx";
import { chooseLanguage, language } from "./words/language.ts";
import { shellWords } from "./words/shell.ts";

/** Other pages answer what they are asked. */
const showsFigures: ReadonlySet<Place["page"]> = new Set(["overview", "release", "decisions", "events"]);

function focusContent(): void {
  document.getElementById("content")?.focus();
}

export function App() {
  const words = shellWords.value;
  return (
    <>
      <button type="button" class="skip" onClick={focusContent}>
        {words.skip}
      </button>
      <Header />
      <StateNotices />
      <main id="content" tabIndex={-1} class={isStale.value && showsFigures.has(place.value.page) ? "stale" : ""}>
        <Content />
      </main>
    </>
  );
}

const navigated = ["overview", "explain", "plan", "decisions", "events"] as const;

function Header() {
  const words = shellWords.value;
  const current = place.value.page === "release" ? "overview" : place.value.page;
  return (
    <header class="top">
      <a class="brand" href={linkTo({ page: "overview" })}>
        Perch
      </a>
      <nav aria-label={words.navigation}>
        {navigated.map((page) => (
          <a key={page} href={linkTo({ page })} {...(page === current && { "aria-current": "page" })}>
            {words.pages[page]}
          </a>
        ))}
      </nav>
      <Tools />
    </header>
  );
}

function Tools() {
  const words = shellWords.value;
  const isSigningIn = useSignal(false);
  const { kind } = connection.value;
  const isSilent = isStale.value && kind === "open";
  const isZh = language.value === "zh";
  return (
    <div class="tools">
      <span class={`connection connection-${isSilent ? "lost" : kind}`} role="status">
        <span class="dot" aria-hidden="true" /> {isSilent ? words.silent : words.connection[kind]}
      </span>
      <button
        type="button"
        class="plain"
        lang={isZh ? "en" : "zh"}
        aria-label={words.languageLabel}
        onClick={() => chooseLanguage(isZh ? "en" : "zh")}
      >
        {words.language}
      </button>
      <button
        type="button"
        class="plain"
        onClick={nextTheme}
        title={`${words.themeLabel}: ${words.theme[theme.value]}`}
      >
        <span class="visually-hidden">{words.themeLabel}: </span>
        {words.theme[theme.value]}
      </button>
      {isSignedIn() ? (
        <button
          type="button"
          onClick={() => {
            signOut();
            connect();
          }}
        >
          {words.signOut}
        </button>
      ) : (
        <button type="button" onClick={() => (isSigningIn.value = true)}>
          {words.signIn}
        </button>
      )}
      {isSigningIn.value && <SignInDialog onClose={() => (isSigningIn.value = false)} />}
    </div>
  );
}

function Content() {
  const words = shellWords.value;
  const state = connection.value;
  if (state.kind === "refused") {
    return (
      <section class="card narrow">
        <h1>{words.signIn}</h1>
        <p>{words.readNeedsToken}</p>
        <p class="hint">{state.message}</p>
        <SignInForm onDone={focusContent} />
      </section>
    );
  }
  if (releases.value === undefined) {
    return <p class="hint">{state.kind === "lost" ? words.unreachable : words.loading}</p>;
  }
  return <Page at={place.value} />;
}

function Page({ at }: { readonly at: Place }) {
  switch (at.page) {
    case "overview":
      return <OverviewPage />;
    case "release":
      return <ReleasePage key={at.release} release={at.release} />;
    case "explain":
      return <ExplainPage />;
    case "plan":
      return <PlanPage />;
    case "decisions":
      return <DecisionsPage />;
    case "events":
      return <EventsPage />;
  }
}
