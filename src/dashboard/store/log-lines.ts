import { signal } from "@preact/signals";
import type { LogEntry } from "../../observe/live/activity-log.ts";

/** One `log` event of `/api/live`. */
export type LogLine = Omit<LogEntry, "atMs"> & { readonly at: string };

const maxLines = 500;

/** What happened, the newest first. */
export class LogLines {
  readonly all = signal<readonly LogLine[]>([]);

  /** One that is known is left out: a resumed stream may say it again. */
  add(line: LogLine): void {
    const [newest] = this.all.value;
    if (newest !== undefined && line.id <= newest.id) return;
    this.all.value = [line, ...this.all.value.slice(0, maxLines - 1)];
  }

  clear(): void {
    this.all.value = [];
  }
}
