/**
 * Times short pieces of work in this process, in batches long enough for the clock. What counts is the process's CPU
 * time, that of garbage collection included: on a busy machine a wall clock also measures the neighbours.
 */

export interface Timing {
  /** Nanoseconds of CPU for one operation: the median over the batches, and the quickest batch. */
  readonly medianNs: number;
  readonly minNs: number;
  readonly batches: number;
}

export interface Work {
  /** Operations in a batch. */
  readonly operations: number;
  /** Runs before each batch, outside of what is timed. */
  readonly prepare?: () => void;
  /** Runs one batch. What it returns must depend on every operation, so that the compiler can leave none out. */
  readonly batch: () => number;
}

export interface TimingBudget {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

const minBatches = 5;

/** Results end up here, where they stay reachable. */
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
