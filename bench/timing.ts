/**
 * Times short operations in this process, in batches long enough for the clock. It measures the process's CPU time,
 * including garbage collection: on a busy machine a wall clock also measures other processes.
 */

export interface Timing {
  /** Nanoseconds of CPU for one operation: the median over the batches, and the fastest batch. */
  readonly medianNs: number;
  readonly minNs: number;
  readonly batches: number;
}

export interface Work {
  /** Operations in a batch. */
  readonly operations: number;
  /** Runs before each batch, not timed. */
  readonly prepare?: () => void;
  /** Runs one batch. Its result must depend on every operation, so that the compiler cannot remove any. */
  readonly batch: () => number;
}

export interface TimingBudget {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

const minBatches = 5;

/** Keeps results reachable. */
export const consumed = { value: 0 };

export function time(work: Work, budget: TimingBudget): Timing {
  const warmUpEnds = performance.now() + budget.warmUpMs;
  while (performance.now() < warmUpEnds) timeBatch(work);
  const nsPerOperation: number[] = [];
  const measureEnds = performance.now() + budget.measureMs;
  while (performance.now() < measureEnds || nsPerOperation.length < minBatches) nsPerOperation.push(timeBatch(work));
  nsPerOperation.sort((left, right) => left - right);
  const minNs = nsPerOperation[0] ?? Number.NaN;
  const medianNs = nsPerOperation[Math.floor(nsPerOperation.length / 2)] ?? Number.NaN;
  return { medianNs, minNs, batches: nsPerOperation.length };
}

function timeBatch({ operations, prepare, batch }: Work): number {
  prepare?.();
  const start = process.cpuUsage();
  consumed.value = (consumed.value + batch()) | 0;
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1_000) / operations;
}
