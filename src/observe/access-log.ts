import { AccessLine } from "./access-line.ts";
import type { Outcome } from "./outcome.ts";

/** Where lines go; each ends with a newline. */
export interface LineDestination {
  write(line: string): void;
  /** Resolves once every line so far is written, or cannot be. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface AccessLogOptions {
  readonly destination: LineDestination;
  /** Share of requests logged, 0 to 1. */
  readonly sample: number;
  /** The wall clock, in milliseconds. */
  readonly nowMs: () => number;
}

/**
 * One line for each request, or for a steady share of them: with a quarter, every fourth. Sampling draws nothing at
 * random, so it costs one addition and two runs over the same requests log the same ones.
 */
export class AccessLog {
  readonly #destination: LineDestination;
  readonly #nowMs: () => number;
  readonly #line = new AccessLine();
  #sample = 0;
  #due = 0;

  constructor(options: AccessLogOptions) {
    this.#destination = options.destination;
    this.#nowMs = options.nowMs;
    this.sample = options.sample;
  }

  /** Follows a reload: where the share is another one, the next request is the first of a new count. */
  set sample(share: number) {
    if (share === this.#sample) return;
    this.#sample = Math.min(1, Math.max(0, share));
    this.#due = 1 - this.#sample;
  }

  log(outcome: Outcome): void {
    if (this.#sample === 0) return;
    this.#due += this.#sample;
    // Sums of fractions such as 0.1 fall a little short of 1, and every tenth must not become every eleventh.
    if (this.#due < 1 - 1e-9) return;
    this.#due -= 1;
    this.#destination.write(this.#line.of(outcome, this.#nowMs()));
  }

  /** Resolves once every line so far is written, or cannot be. */
  flush(): Promise<void> {
    return this.#destination.flush();
  }

  close(): Promise<void> {
    return this.#destination.close();
  }
}
