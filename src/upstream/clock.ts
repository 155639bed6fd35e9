/** Reads the time. The system's clock is read at the composition root only. */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Monotonic clock, milliseconds. */
  monotonicMs(): number;
}

/** Calls back once after `ms` milliseconds; returns a function that cancels the call. */
export type Schedule = (ms: number, callback: () => void) => () => void;

/** A clock, and calls at a later time. */
export interface Timers extends Clock {
  readonly schedule: Schedule;
}

/** Node's timers. They keep the process alive until they have fired. */
export const scheduleTimeout: Schedule = (ms, callback) => {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
};

/** Node's timers, for work that need not be done before the process ends. */
export const scheduleUnref: Schedule = (ms, callback) => {
  const timer = setTimeout(callback, ms).unref();
  return () => clearTimeout(timer);
};

/** For use where time stands still, such as explanations. */
export const noTimers: Timers = Object.freeze({ nowMs: () => 0, monotonicMs: () => 0, schedule: () => () => {} });

/** A number in [0, 1); not for secrets. */
export type RandomFraction = () => number;
