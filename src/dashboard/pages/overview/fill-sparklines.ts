import { effect } from "@preact/signals";
import type { HistoryBody } from "../../../admin/live/live-bodies.ts";
import { ask } from "../../store/api.ts";
import { recentErrors, releases, server } from "../../store/live.ts";

/** More than a screen shows; the others fill as time goes on. */
const mostAsked = 24;

/** What was before the page was opened, one release after the other; anew for each connection. The function ends that. */
export function fillSparklines(): () => void {
  let abort = new AbortController();
  const stop = effect(() => {
    const names = releases.peek()?.map(({ release }) => release) ?? [];
    if (server.value === undefined) return;
    abort.abort();
    abort = new AbortController();
    void fill(names.slice(0, mostAsked), abort.signal);
  });
  return () => {
    stop();
    abort.abort();
  };
}

async function fill(names: readonly string[], signal: AbortSignal): Promise<void> {
  for (const name of names) {
    const answer = await ask<HistoryBody>(`/api/history/${encodeURIComponent(name)}`, { signal });
    if (signal.aborted) return;
    if (answer.ok) recentErrors.fill(name, answer.body.tens);
  }
}
