import { useComputed, useSignal } from "@preact/signals";
import { config, endpoints, releases, rolloutOf, ticksOf } from "../../store/live.ts";
import { CodeBlock } from "../../ui/code-block.tsx";
import { FirstItems } from "../../ui/first-items.tsx";
import { firstRelease, overviewWords } from "../../words/overview.ts";
import { Endpoints } from "../release/endpoints.tsx";
import { byAttention, endpointsOf, failingVersions, strandedEndpoints } from "./attention.ts";
import { ConfigCard } from "./config-card.tsx";
import { ReleaseCard } from "./release-card.tsx";

/** With more, a field finds one by its name. */
const manyReleases = 24;

export function OverviewPage() {
  const words = overviewWords.value;
  const filter = useSignal("");
  const views = useComputed(() =>
    byAttention(
      (releases.value ?? []).map((release) => ({
        release,
        rollout: rolloutOf(release.release),
        endpoints: endpointsOf(release, endpoints.value),
        failing: failingVersions(ticksOf(release.release)),
      })),
    ),
  );
  const stranded = useComputed(() => strandedEndpoints(releases.value ?? [], endpoints.value));
  const wanted = filter.value.trim().toLowerCase();
  const found = views.value.filter(({ release }) => release.release.toLowerCase().includes(wanted));
  return (
    <>
      <div class="page-head">
        <h1>{words.title}</h1>
        {views.value.length > manyReleases && (
          <div class="toolbar">
            <label>
              {words.filter}
              <input
                type="search"
                value={filter.value}
                onInput={(event) => (filter.value = event.currentTarget.value)}
              />
            </label>
          </div>
        )}
        {views.value.length > 0 && <span class="hint">{words.releases(views.value.length)}</span>}
      </div>
      {config.value !== undefined && <ConfigCard state={config.value} />}
      {stranded.value.length > 0 && <Endpoints title={words.otherServices} endpoints={stranded.value} />}
      {views.value.length === 0 && <NoRelease />}
      {views.value.length > 0 && found.length === 0 && <p class="hint">{words.noneFound}</p>}
      <FirstItems items={found} limit={60}>
        {(shown) => (
          <ul class="release-cards">
            {shown.map((view) => (
              <ReleaseCard key={view.release.release} view={view} />
            ))}
          </ul>
        )}
      </FirstItems>
    </>
  );
}

function NoRelease() {
  const words = overviewWords.value;
  return (
    <section class="card">
      <h2>{words.noRelease}</h2>
      <p>{words.noReleaseHow}</p>
      <CodeBlock label={words.example} text={firstRelease} />
    </section>
  );
}
