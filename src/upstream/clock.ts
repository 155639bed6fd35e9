export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Monotonic clock, milliseconds. */
  monotonicMs(): number;
  /** Calls back once; returns a function that cancels the call. */
  wake(callback: () => void, ms: number): () => void;
}

/** For use without timers, such as explanations. */
export const noClock: Clock = Object.freeze({ nowMs: () => 0, monotonicMs: () => 0, wake: () => () => {} });

/** A number in [0, 1); not for secrets. */
export type RandomFraction = () => number;
