import type { Schedule } from "../../src/upstream/clock.ts";

/** A clock that only the test moves. */
export class MovedClock {
  ms: number;
  readonly #tasks = new Set<{ readonly atMs: number; readonly task: () => void }>();

  constructor(ms = 0) {
    this.ms = ms;
  }

  readonly nowMs = (): number => this.ms;

  readonly schedule: Schedule = (ms, task) => {
    const entry = { atMs: this.ms + ms, task };
    this.#tasks.add(entry);
    return () => void this.#tasks.delete(entry);
  };

  /** How long until each of the calls that are scheduled, the soonest first. */
  get waitsMs(): readonly number[] {
    return [...this.#tasks].map(({ atMs }) => atMs - this.ms).sort((a, b) => a - b);
  }

  advance(ms: number): void {
    this.ms += ms;
    for (const entry of [...this.#tasks]) {
      if (entry.atMs > this.ms) continue;
      this.#tasks.delete(entry);
      entry.task();
    }
  }
}
