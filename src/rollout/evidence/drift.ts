import type { Sighting } from "../../observe/rollout/rollout-report.ts";
import { CoinEvidence, shifted } from "./coin-evidence.ts";
import type { Finding, Judged, Verdict } from "./judged.ts";
import { savedRecord } from "./saved.ts";
import { UnitSample } from "./unit-sample.ts";
import { countText, evidenceText, percentText } from "./words.ts";

/** How many units are kept. If there are more, only every second by hash, then every fourth, and so on. */
const maxUnits = 32_768;
const marks = { first: 1, returned: 2 } as const;
const enoughUnits = 200;

/**
 * Are the versions' shares of new units, and of returning ones, as they were drawn? Two e-processes, each with
 * half of the false-alarm rate. If new units deviate, the draw itself is wrong; if returning ones do, a
 * version loses its users, or its responses lose their cookies.
 *
 * Source: Lindon, Malek, Anytime-valid inference for multinomial count data (2022).
 */
export class Drift implements Judged {
  readonly name = "drift";
  readonly metric = "drift";
  readonly key = "drift";
  readonly acts: boolean;
  readonly isShown = "always";
  readonly #candidate: string;
  readonly #limit: number;
  readonly #units: UnitSample;
  readonly #first: CoinEvidence;
  readonly #returned: CoinEvidence;

  /** `limit`: the e-value that fails it. `saved`: undefined for a new rollout. */
  constructor(candidate: string, { acts, limit }: { acts: boolean; limit: number }, saved: unknown) {
    this.#candidate = candidate;
    this.acts = acts;
    this.#limit = limit;
    const { units, first, returned } = saved === undefined ? {} : savedRecord(saved);
    this.#units = units === undefined ? new UnitSample(maxUnits) : UnitSample.restore(units, maxUnits);
    this.#first = coinOf(first);
    this.#returned = coinOf(returned);
  }

  /** Another plane, or one that has forgotten the unit, calls it new: then it comes again. */
  take({ hi, lo, side, odds, seen }: Sighting): void {
    if (seen === "known") return;
    const isReturned = seen === "returned";
    const before = this.#units.mark(hi, lo, isReturned ? marks.first | marks.returned : marks.first);
    if (before === undefined) return;
    const isCandidate = side === "candidate";
    if (before === 0 && !isReturned) this.#first.toss(isCandidate, odds);
    else if ((before & marks.returned) === 0) {
      this.#units.mark(hi, lo, marks.returned);
      this.#returned.toss(isCandidate, odds);
    }
  }

  verdict(): Verdict {
    if (this.#evidence >= this.#limit) return "fail";
    return this.#first.tosses >= enoughUnits ? "pass" : "not-enough-data";
  }

  finding(verdict: Verdict): Finding {
    const evidence = `evidence ${evidenceText(this.#evidence)}, it fails at ${evidenceText(this.#limit)}`;
    const missing = countText(Math.max(1, enoughUnits - this.#first.tosses));
    const conclusion = {
      fail: `this differs from the draw (${evidence}): clients may drop cookies, or the version may lose users`,
      pass: `as drawn (${evidence})`,
      "not-enough-data": `it waits for ${missing} more new users (${evidence})`,
    }[verdict];
    return {
      baseline: null,
      candidate: null,
      evidence: this.#evidence,
      limit: this.#limit,
      interval: null,
      why: `${this.#share("new users", this.#first)}, ${this.#share("users who came again", this.#returned)}: ${conclusion}`,
    };
  }

  save(): unknown {
    return { units: this.#units.save(), first: this.#first.save(), returned: this.#returned.save() };
  }

  get #evidence(): number {
    return Math.max(this.#first.peak, this.#returned.peak) / 2;
  }

  #share(who: string, { tosses, candidates, odds }: CoinEvidence): string {
    if (tosses === 0) return `no ${who} yet`;
    const found = `${countText(candidates)} of ${countText(tosses)} ${who} were on ${this.#candidate}`;
    return `${found} (${percentText(candidates / tosses)}, ${percentText(odds)} were due)`;
  }
}

function coinOf(saved: unknown): CoinEvidence {
  return saved === undefined ? new CoinEvidence(shifted) : CoinEvidence.restore(saved, shifted);
}
