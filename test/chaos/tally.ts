/** What came of the requests of one fault. */
export class Tally {
  requests = 0;
  /** Requests that got no good answer, by how they ended. */
  readonly failures = new Map<string, number>();
  /** Answers that must never be given: another request's, another version's, or one that is not whole. */
  readonly wrong = new Map<string, number>();
  /** When the last failure was, by the monotonic clock; undefined while there was none. */
  lastFailureMs: number | undefined;

  failed(how: string): void {
    add(this.failures, how);
    this.lastFailureMs = performance.now();
  }

  isWrong(why: string): void {
    add(this.wrong, why);
  }

  get failureCount(): number {
    return sum(this.failures);
  }

  get wrongCount(): number {
    return sum(this.wrong);
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}
