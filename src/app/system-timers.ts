import { performance } from "node:perf_hooks";
import { scheduleUnref, type Timers } from "../upstream/clock.ts";

/** The system's clocks, and timers for work that need not be done before the process ends. */
export const systemTimers: Timers = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule: scheduleUnref,
};
