/** Wakes those who wait for a condition; rung at every event. */
export class Bell {
  rings = 0;
  readonly #checks = new Set<() => void>();

  ring(): void {
    this.rings++;
    for (const check of [...this.#checks]) check();
  }

  /** True once `condition` holds; false if it did not within the limit, which a test reports as a difference or a failure. */
  until(condition: () => boolean, limitMs: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const done = (held: boolean) => {
      clearTimeout(timer);
      this.#checks.delete(check);
      resolve(held);
    };
    const check = () => {
      if (condition()) done(true);
    };
    const timer = setTimeout(done, limitMs, false);
    this.#checks.add(check);
    return promise;
  }
}

/** Two turns of the event loop, within which sockets of this process read what has arrived. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

/**
 * The value once it has not changed for 300 turns of the event loop: whatever moved it is held up. Only for what is moved
 * by this process, whose every step takes a turn.
 */
export async function stalled(progress: () => number): Promise<number> {
  let before = Number.NaN;
  for (let still = 0; still < 300; still++) {
    const now = progress();
    if (now !== before) still = 0;
    before = now;
    await turn();
  }
  return before;
}
