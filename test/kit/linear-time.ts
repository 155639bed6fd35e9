import { expect } from "vitest";

const size = 1024 * 1024;
const limitMs = 2000;

/** One MiB of this unit, repeated. */
export function nothingBut(unit: string): string {
  return unit.repeat(size / unit.length);
}

/**
 * Expects linear work on a MiB of text. Quadratic work takes more than five seconds, even where each step is the
 * engine's fastest search; linear work takes some hundred milliseconds. CPU time is measured, which a busy machine does
 * not change.
 */
export function expectLinearTime(work: () => void): void {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  expect((user + system) / 1000).toBeLessThan(limitMs);
}
