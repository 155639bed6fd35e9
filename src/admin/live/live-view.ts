import type { LogEntry } from "../../observe/live/activity-log.ts";
import type { DecisionBatch } from "../../observe/live/decision-tail.ts";
import type { EndpointReport } from "../endpoint-report.ts";
import type { HistoryBody, LiveRelease, RecentBody, TickBody } from "./live-bodies.ts";

/** What is so at the moment, and what happens: the source of the dashboard. Asking costs the lanes nothing. */
export interface LiveView {
  /** Names this process: another one has counted nothing of what this one has. */
  readonly instance: string;
  /** What is configured of each release, with what is in force of it. The same object until it changes. */
  releases(): readonly LiveRelease[];
  /** As the last look found them: with workers up to 5 s old. */
  endpoints(): readonly EndpointReport[];
  /** The last second. Undefined within the first second of the process. */
  tick(): TickBody | undefined;
  /** Hits and the time of the last one, by release and rule, of all rules that were ever hit. */
  ruleHits(): Readonly<Record<string, TickBody["releases"][string]["rules"]>>;
  /** For a first glance at all releases. */
  recent(): RecentBody;
  /** Undefined if there is no such release. */
  history(release: string): HistoryBody | undefined;
  /** Calls the listener once a second, after the new tick is there; the function returned ends that. */
  onTick(listener: () => void): () => void;
  /** Entries after this id, oldest first, as far as they are kept. */
  logAfter(id: number): readonly LogEntry[];
  /** Calls the listener with sampled decisions, a few times a second. Samples only while there is a listener. */
  onDecisions(listener: (batch: DecisionBatch) => void): () => void;
}
