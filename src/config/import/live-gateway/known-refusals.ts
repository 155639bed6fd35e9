/** How long a part that did not load is left out without another try. */
export const refusalMs = 60_000;

/**
 * Which routes and policies did not load, and why. To find one among thousands takes many loads, so whoever writes a bad
 * one must not make each change of the others wait for that.
 */
export class KnownRefusals {
  readonly #nowMs: () => number;
  readonly #refusals = new Map<string, { readonly why: string; readonly untilMs: number }>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Undefined if it is not known, or was found too long ago. */
  whyOf(part: string): string | undefined {
    const found = this.#refusals.get(part);
    return found === undefined || found.untilMs < this.#nowMs() ? undefined : found.why;
  }

  add(part: string, why: string): void {
    this.#refusals.set(part, { why, untilMs: this.#nowMs() + refusalMs });
  }

  /** Whether something is to be tried again later. */
  get isEmpty(): boolean {
    const nowMs = this.#nowMs();
    for (const [part, { untilMs }] of this.#refusals) if (untilMs < nowMs) this.#refusals.delete(part);
    return this.#refusals.size === 0;
  }

  clear(): void {
    this.#refusals.clear();
  }
}
