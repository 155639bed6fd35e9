/** The pause after a write that somebody else undoes; doubled each time, up to the longest. */
const firstPauseMs = 1_000;
const longestPauseMs = 60_000;
/** What stays as it was written for this long is not contested any more. */
const staysMs = 2 * longestPauseMs;

interface Written {
  readonly content: string;
  readonly atMs: number;
  readonly pauseMs: number;
}

/**
 * When a status is written again that somebody else has overwritten. Replicas that do not share their state, and that
 * differ during an update, would undo each other's writes as fast as the API lets them.
 */
export class ContestedStatuses {
  readonly #monotonicMs: () => number;
  readonly #written = new Map<string, Written>();

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** How long this content is to wait; 0 if the object has not had it lately. */
  waitMs(object: string, content: string): number {
    const last = this.#lastOf(object);
    return last?.content === content ? Math.max(0, last.atMs + last.pauseMs - this.#monotonicMs()) : 0;
  }

  written(object: string, content: string): void {
    const { pauseMs = firstPauseMs, content: before } = this.#lastOf(object) ?? {};
    const next = before === content ? Math.min(2 * pauseMs, longestPauseMs) : pauseMs;
    this.#written.set(object, { content, atMs: this.#monotonicMs(), pauseMs: next });
  }

  /** To be called now and then. */
  forgetOld(): void {
    for (const object of this.#written.keys()) if (this.#lastOf(object) === undefined) this.#written.delete(object);
  }

  #lastOf(object: string): Written | undefined {
    const last = this.#written.get(object);
    return last === undefined || this.#monotonicMs() - last.atMs >= staysMs ? undefined : last;
  }
}
