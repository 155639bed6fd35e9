import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { DecisionBatch } from "../../../observe/live/decision-tail.ts";
import { count } from "../../format/numbers.ts";
import { EventStream, type StreamState } from "../../store/event-stream.ts";
import { isSignedIn } from "../../store/session.ts";
import { Notice } from "../../ui/notice.tsx";
import { decisionsWords } from "../../words/decisions.ts";
import { DecisionFilters } from "./decision-filters.tsx";
import { DecisionRows, decisionsPath, noFilter } from "./decision-rows.ts";
import { DecisionTable } from "./decision-table.tsx";

export function DecisionsPage() {
  const words = decisionsWords.value;
  const filter = useSignal(noFilter);
  const state = useSignal<StreamState>({ kind: "connecting" });
  const rows = useMemo(() => new DecisionRows(), []);
  const path = decisionsPath(filter.value);
  const isSigned = isSignedIn();
  // Requests are sampled only while a stream is open, so it is closed when the page is left or hidden.
  useEffect(() => {
    rows.clear();
    return whileSeen(() => {
      return new EventStream({
        path,
        onEvent: ({ event, data }) => {
          if (event === "decisions") rows.add(JSON.parse(data) as DecisionBatch);
        },
        onState: (next) => {
          // It stays lost until it is open: each new attempt would blink.
          if (next.kind !== "connecting" || state.value.kind !== "lost") state.value = next;
        },
      });
    });
  }, [path, isSigned]);
  const isPaused = rows.isPaused.value;
  return (
    <>
      <div class="page-head">
        <h1>{words.title}</h1>
        <div class="page-tools">
          {isPaused && <span class="hint">{words.paused(count(rows.waiting.value))}</span>}
          <button type="button" onClick={() => rows.pause(!isPaused)}>
            {isPaused ? words.resume : words.pause}
          </button>
        </div>
      </div>
      <p class="hint">{words.lead}</p>
      <section class="card">
        <DecisionFilters filter={filter.value} onChange={(next) => (filter.value = next)} />
        <Connection state={state.value} />
        <p class="hint counts">
          {words.counts(count(rows.sampled.value), count(rows.skipped.value))} {words.countsHint}
        </p>
        {rows.shown.value.length === 0 ? (
          <p class="empty">{filter.value === noFilter ? words.waiting : words.waitingFiltered}</p>
        ) : (
          <DecisionTable rows={rows.shown.value} isOld={state.value.kind !== "open"} />
        )}
      </section>
    </>
  );
}

/** Keeps a stream open while the page is visible; the function returned ends that. */
function whileSeen(open: () => EventStream): () => void {
  let stream: EventStream | undefined;
  const follow = () => {
    if (document.visibilityState === "visible") stream ??= open();
    else {
      stream?.close();
      stream = undefined;
    }
  };
  follow();
  document.addEventListener("visibilitychange", follow);
  return () => {
    document.removeEventListener("visibilitychange", follow);
    stream?.close();
  };
}

function Connection({ state }: { readonly state: StreamState }) {
  const words = decisionsWords.value;
  if (state.kind === "lost") {
    return (
      <Notice tone="bad" role="alert">
        {words.lost(state.why)}
      </Notice>
    );
  }
  if (state.kind === "refused") {
    return (
      <Notice tone="bad" role="alert">
        {words.refused(state.message)}
      </Notice>
    );
  }
  return (
    <p class={`connection connection-${state.kind}`} role="status">
      <span class="dot" aria-hidden="true" /> {words[state.kind]}
    </p>
  );
}
