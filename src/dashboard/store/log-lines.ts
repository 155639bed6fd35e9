import { signal } from "@preact/signals";

/** One `log` event of `/api/live`. */
export interface LogLine {
  readonly id: number;
  readonly at: string;
  readonly kind: "rollout" | "config" | "endpoint" | "audit";
  readonly type: string;
  readonly level: "info" | "warn" | "error";
  readonly release: string | null;
  readonly by: string | null;
  readonly text: string;
  readonly detail: string | null;
  readonly step: number | null;
  readonly weight: number | null;
  readonly phase: string | null;
}

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
    // What an endpoint did is told seconds later, and stands where it happened.
    const older = known.findIndex(({ at }) => at <= line.at);
    const index = older === -1 ? known.length : older;
    this.all.value = [...known.slice(0, index), line, ...known.slice(index)].slice(0, maxLines);
  }

  clear(): void {
    this.#newestId = 0;
    this.all.value = [];
  }
}
