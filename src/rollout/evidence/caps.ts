import type { CapsSpec } from "../../decide/rollout-spec.ts";
import type { Finding, Judged, Verdict } from "./judged.ts";
import { countText } from "./words.ts";

/** The rate is an average over as long: a burst of a second is not what a version costs. */
const rateWindowSeconds = 5;

/** One bound on what the candidate may cost. Reaching it is a failure. */
class Cap implements Judged {
  readonly name: string;
  readonly key: string;
  readonly metric = "cap";
  readonly acts = true;
  readonly isShown = "always";
  readonly #what: string;
  readonly #limit: number;
  readonly #value: () => number;

  constructor(name: keyof CapsSpec, limit: number, what: string, value: () => number) {
    this.name = `caps.${name}`;
    this.key = `${this.name} ${limit}`;
    this.#what = what;
    this.#limit = limit;
    this.#value = value;
  }

  verdict(): Verdict {
    return this.#value() >= this.#limit ? "fail" : "pass";
  }

  finding(verdict: Verdict): Finding {
    const evidence = this.#value();
    const of = `${countText(evidence)} ${this.#what}`;
    const limit = countText(this.#limit);
    const why = verdict === "fail" ? `${of}: that is the cap of ${limit}` : `${of}; the cap is ${limit}`;
    return { baseline: null, candidate: null, evidence, limit: this.#limit, interval: null, why };
  }
}

/** What the caps are compared with. */
export interface Costs {
  /** Drawn users of the candidate, and those of them that met a failure. */
  readonly users: () => number;
  readonly failures: () => number;
  readonly requestsPerSecond: () => number;
}

/** The configured ones. */
export function capsOf(spec: CapsSpec, candidate: string, costs: Costs): readonly Judged[] {
  const what: Readonly<Record<keyof CapsSpec, string>> = {
    users: `users were drawn to ${candidate}`,
    failures: `users met errors on ${candidate}`,
    requestsPerSecond: `requests a second of drawn users were on ${candidate}`,
  };
  return (["users", "failures", "requestsPerSecond"] as const).flatMap((name) => {
    const limit = spec[name];
    return limit === undefined ? [] : [new Cap(name, limit, what[name], costs[name])];
  });
}

/** Requests a second, over the last five seconds. It starts over with the process. */
export class RequestRate {
  readonly #seconds = new Float64Array(rateWindowSeconds);
  #last = 0;

  add(requests: number, nowMs: number): void {
    this.#moveTo(Math.floor(nowMs / 1_000));
    const slot = this.#last % rateWindowSeconds;
    this.#seconds[slot] = (this.#seconds[slot] ?? 0) + requests;
  }

  perSecond(): number {
    return this.#seconds.reduce((sum, count) => sum + count, 0) / rateWindowSeconds;
  }

  /** A clock that was set back begins anew: else one second would hold all requests until it is there again. */
  #moveTo(second: number): void {
    if (second < this.#last) this.#seconds.fill(0);
    const first = Math.max(this.#last + 1, second - rateWindowSeconds + 1);
    for (let each = first; each <= second; each++) this.#seconds[each % rateWindowSeconds] = 0;
    this.#last = second;
  }
}
