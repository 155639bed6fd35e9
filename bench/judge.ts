import { ruleVersion, type User } from "./users.ts";

/** The correctness of responses. */
export interface Verdict {
  /** First visits of users whom no rule matches, and how many of them drew canary. */
  readonly drawn: number;
  readonly drawnCanary: number;
  readonly newVisitors: number;
  readonly newVisitorsCanary: number;
  readonly non2xx: number;
  readonly connectionErrors: number;
  /** Responses of a wrong version to a pinned user, or to one whom the rule matches. */
  readonly wrongVersion: number;
  /** New pins in response to valid ones, which were thus not accepted. */
  readonly repinned: number;
  /** Responses without a pin to new visitors. */
  readonly unpinned: number;
  /** Bodies shorter or longer than the upstream's. */
  readonly wrongLength: number;
}

export interface Answer {
  readonly status: number;
  /** The version that the upstream reports. */
  readonly version: string | undefined;
  readonly setsCookie: boolean;
  readonly bodyBytes: number;
}

/** The share of canary in the split, without the rule. */
const canaryShare = 0.1;
/** A correct split exceeds this deviation once in 1.7 million runs. */
const standardDeviations = 5;

/** Checks every response's head, at little cost: it shares a core with the load. */
export class Judge {
  readonly #counts = {
    newVisitors: 0,
    newVisitorsCanary: 0,
    non2xx: 0,
    connectionErrors: 0,
    wrongVersion: 0,
    repinned: 0,
    unpinned: 0,
    wrongLength: 0,
  };
  readonly #drawn: { readonly drawn: number; readonly drawnCanary: number };

  readonly #bodyBytes: number;

  constructor(users: readonly User[], bodyBytes: number) {
    this.#bodyBytes = bodyBytes;
    const drawn = users.filter((user) => !user.byRule);
    this.#drawn = { drawn: drawn.length, drawnCanary: drawn.filter((user) => user.version === ruleVersion).length };
    this.#counts.wrongVersion = users.filter((user) => user.byRule && user.version !== ruleVersion).length;
  }

  connectionFailed(): void {
    this.#counts.connectionErrors += 1;
  }

  verdict(): Verdict {
    return { ...this.#drawn, ...this.#counts };
  }

  /** `wanted` is the only right version; undefined for a new visitor, who may draw either. */
  judge(wanted: string | undefined, answer: Answer): void {
    const counts = this.#counts;
    if (answer.status < 200 || answer.status > 299) counts.non2xx += 1;
    if (answer.bodyBytes !== this.#bodyBytes) counts.wrongLength += 1;
    if (wanted === undefined) {
      counts.newVisitors += 1;
      if (answer.version === ruleVersion) counts.newVisitorsCanary += 1;
      if (!answer.setsCookie) counts.unpinned += 1;
    } else {
      if (answer.version !== wanted) counts.wrongVersion += 1;
      if (answer.setsCookie) counts.repinned += 1;
    }
  }
}

/** Why these responses are invalid; empty where none was wrong. */
export function complaints(verdict: Verdict): readonly string[] {
  const faults: string[] = [];
  const complain = (count: number, what: string) => {
    if (count > 0) faults.push(`${count} ${what}`);
  };
  complain(verdict.non2xx, "answers were not 2xx");
  complain(verdict.connectionErrors, "requests failed on the connection");
  complain(verdict.wrongVersion, "requests were answered by the wrong version");
  complain(verdict.repinned, "valid pins were answered with another");
  complain(verdict.unpinned, "new visitors got no pin");
  complain(verdict.wrongLength, "answers had a body of another length");
  if (!splitHolds(verdict.drawnCanary, verdict.drawn)) {
    faults.push(`${verdict.drawnCanary} of ${verdict.drawn} users drew canary, too far from a tenth`);
  }
  if (!splitHolds(verdict.newVisitorsCanary, verdict.newVisitors)) {
    faults.push(
      `${verdict.newVisitorsCanary} of ${verdict.newVisitors} new visitors drew canary, too far from a tenth`,
    );
  }
  return faults;
}

function splitHolds(canary: number, total: number): boolean {
  const bound = standardDeviations * Math.sqrt(total * canaryShare * (1 - canaryShare));
  return Math.abs(canary - total * canaryShare) <= bound;
}
