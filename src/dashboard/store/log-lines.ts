import { signal } from "@preact/signals";
import type { LogEntry } from "../../observe/live/activity-log.ts";

/** One `log` event of `/api/live`. */
export type LogLine = Omit<LogEntry, "atMs"> & { readonly at: string };

const maxLines = 500;

/** What happened, the newest first. */
export class LogLines {
  readonly all = signal<readonly LogLine[]>([]);
  #newestId = 0;

  /** One that is known is left out: a resumed stream may say it again. */
  add(line: LogLine): void {
    if (line.id <= this.#newestId) return;
    this.#newestId = line.id;
    const known = this.all.value;
    // Changes of endpoints are reported seconds later, and are listed at the time when they happened.
    const older = known.findIndex(({ at }) => at <= line.at);
    const index = older === -1 ? known.length : older;
    this.all.value = [...known.slice(0, index), line, ...known.slice(index)].slice(0, maxLines);
  }

  clear(): void {
    this.#newestId = 0;
    this.all.value = [];
  }
}
