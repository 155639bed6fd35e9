import { expect } from "vitest";

const size = 1024 * 1024;
const limitMs = 2000;

/** One MiB of the same unit over and over. */
export function nothingBut(unit: string): string {
  return unit.repeat(size / unit.length);
}

/**
 * Expects this work on a MiB of text to be linear in it. Quadratic work takes more than five seconds, even where each step
 * is the engine's fastest search; linear work is some hundred milliseconds. The processor's time is measured, so that a
 * busy machine fails nothing.
 */
export function expectLinearTime(work: () => void): void {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  expect((user + system) / 1000).toBeLessThan(limitMs);
}
