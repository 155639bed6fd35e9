import type { Outcome } from "../outcome.ts";

/** One ended request as people watch it: no client, path, host, unit or header, so that nothing in it is secret. */
export interface DecisionLine {
  readonly atMs: number;
  readonly route: string;
  /** As in the metrics: one that no RFC defines is `other`. */
  readonly method: string;
  readonly release: string | null;
  /** The version served. */
  readonly version: string | null;
  /** The version assigned, where it differs. */
  readonly assigned: string | null;
  readonly reason: string | null;
  readonly rule: string | null;
  readonly status: number;
  /** The code of Perch's own error. */
  readonly error: string | null;
  readonly durationMs: number;
}

export interface DecisionBatch {
  readonly lines: readonly DecisionLine[];
  /** Requests of the same time that the sample left out. */
  readonly skipped: number;
}

export interface DecisionTailParts {
  readonly handOver: (batch: DecisionBatch) => void;
  readonly nowMs: () => number;
  /** Calls back once after `ms` milliseconds; returns a function that cancels the call. */
  readonly schedule: (ms: number, callback: () => void) => () => void;
}

const batchMs = 250;
/** Of each batch. Failures have places of their own: among many good answers a sample would miss them. */
const maxGood = 10;
const maxFailed = 10;

const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);

/** Samples the requests of one data plane while a client watches; otherwise a request costs one field access. */
export class DecisionTail {
  isWatched = false;
  readonly #parts: DecisionTailParts;
  #good: DecisionLine[] = [];
  #failed: DecisionLine[] = [];
  #skipped = 0;
  #cancel: (() => void) | undefined;

  constructor(parts: DecisionTailParts) {
    this.#parts = parts;
  }

  watch(isWatched: boolean): void {
    if (isWatched === this.isWatched) return;
    this.isWatched = isWatched;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#take();
    if (isWatched) this.#handOverLater();
  }

  /** Only called while watched. The first ones of a batch are its sample. */
  offer(outcome: Outcome): void {
    const isFailed = outcome.status >= 500 || outcome.error !== undefined;
    const [lines, limit] = isFailed ? [this.#failed, maxFailed] : [this.#good, maxGood];
    if (lines.length >= limit) {
      this.#skipped++;
      return;
    }
    const { routeName, method, releaseName, servedVersion, assignedVersion, reason, ruleName, status, error } = outcome;
    lines.push({
      atMs: this.#parts.nowMs(),
      route: routeName,
      method: methods.has(method) ? method : "other",
      release: releaseName ?? null,
      version: servedVersion ?? null,
      assigned: assignedVersion === servedVersion ? null : (assignedVersion ?? null),
      reason: reason ?? null,
      rule: ruleName ?? null,
      status,
      error: error ?? null,
      durationMs: Math.round(outcome.durationMs * 100) / 100,
    });
  }

  #handOverLater(): void {
    this.#cancel = this.#parts.schedule(batchMs, () => {
      const batch = this.#take();
      if (batch.lines.length > 0) this.#parts.handOver(batch);
      this.#handOverLater();
    });
  }

  #take(): DecisionBatch {
    const lines = [...this.#good, ...this.#failed].sort((left, right) => left.atMs - right.atMs);
    const skipped = this.#skipped;
    this.#good = [];
    this.#failed = [];
    this.#skipped = 0;
    return { lines, skipped };
  }
}
