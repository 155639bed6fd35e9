import { performance } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";

/** A request takes some turns of the event loop, so it waits for a few slices. */
const sliceMs = 2;

/** Runs steps for at most 2 ms and one step in each turn of the event loop, so that requests are served between them. */
export async function inSlices<T>(steps: Generator<undefined, T>): Promise<T> {
  for (;;) {
    const endMs = performance.now() + sliceMs;
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
    } while (performance.now() < endMs);
    await nextTurn();
  }
}
