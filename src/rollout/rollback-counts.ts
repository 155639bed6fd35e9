interface RollbackCount {
  readonly release: string;
  readonly reason: string;
  readonly count: number;
}

/** Rollbacks since the process started, by release and reason. */
export class RollbackCounts {
  readonly #counts = new Map<string, RollbackCount>();

  add(release: string, reason: string): void {
    const key = `${release} ${reason}`;
    this.#counts.set(key, { release, reason, count: (this.#counts.get(key)?.count ?? 0) + 1 });
  }

  all(): readonly RollbackCount[] {
    return [...this.#counts.values()];
  }
}
