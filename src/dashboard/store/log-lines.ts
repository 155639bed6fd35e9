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
