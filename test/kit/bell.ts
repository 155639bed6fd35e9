/** Wakes whoever waits for something to have come true; rung at every event. */
export class Bell {
  rings = 0;
  readonly #checks = new Set<() => void>();

  ring(): void {
    this.rings++;
    for (const check of [...this.#checks]) check();
  }

  /** True once `condition` holds; false where it did not in time, which a test tells as a difference or a failure. */
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

/** Lets everything that has arrived be read: two turns of the event loop. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}
