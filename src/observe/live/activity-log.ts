/** Something that happened to this process: a transition of a rollout, a reload, a change of health, a request to change. */
export interface LogEntry {
  /** Rises by one. */
  readonly id: number;
  readonly atMs: number;
  readonly kind: "rollout" | "config" | "endpoint" | "audit";
  /** Within the kind: such as `step`, `reloaded`, `rejected`, `up`, `ejected`, `refused`; for an audit line the verb. */
  readonly type: string;
  readonly level: "info" | "warn" | "error";
  readonly release: string | null;
  /** `perch`, `configuration`, or who called the API. */
  readonly by: string | null;
  /** One sentence. */
  readonly text: string;
  /** More lines, such as an excerpt of the file with a caret. */
  readonly detail: string | null;
  /** Of a rollout, after a transition; null otherwise. */
  readonly step: number | null;
  readonly weight: number | null;
  readonly phase: string | null;
}

/** What differs between entries; the rest is null. */
export type LogDraft = Pick<LogEntry, "kind" | "type" | "level" | "text"> & Partial<Omit<LogEntry, "id">>;

/** More than anyone scrolls through. */
const maxEntries = 500;

/** The newest entries, for those who look on. It lives as long as the process; the log on stderr outlives it. */
export class ActivityLog {
  readonly #nowMs: () => number;
  #entries: readonly LogEntry[] = [];

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** `atMs` of the draft: now, if it is not given. */
  add(draft: LogDraft): void {
    const id = (this.#entries.at(-1)?.id ?? 0) + 1;
    const nothing = { release: null, by: null, detail: null, step: null, weight: null, phase: null };
    this.#entries = [...this.#entries.slice(1 - maxEntries), { ...nothing, atMs: this.#nowMs(), ...draft, id }];
  }

  /** Oldest first, as far as they are kept. */
  after(id: number): readonly LogEntry[] {
    return this.#entries.filter((entry) => entry.id > id);
  }
}
