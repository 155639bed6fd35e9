/** Time, for what has to happen by itself. */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Monotonic clock, milliseconds. */
  monotonicMs(): number;
  /** Calls back once; answers with what takes it back. */
  wake(callback: () => void, ms: number): () => void;
}

/** For those who only ask what is configured. */
export const noClock: Clock = Object.freeze({ nowMs: () => 0, monotonicMs: () => 0, wake: () => () => {} });

/** A number in [0, 1); not for secrets. */
export type RandomFraction = () => number;
