/** The results of the requests during one fault. */
export class Tally {
  requests = 0;
  /** Failed requests by their failure. */
  readonly failures = new Map<string, number>();
  /** Wrong responses: of another request or version, or incomplete. */
  readonly wrong = new Map<string, number>();
  /** The time of the last failure by the monotonic clock; undefined without one. */
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
