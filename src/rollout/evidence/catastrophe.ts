import type { AnswerCounts, AnswersBySide, Sighting } from "../../observe/rollout/rollout-report.ts";
import type { Finding, Judged, Verdict } from "./judged.ts";
import { countSum, ForeignShape, savedCount, savedList, savedNumber, savedRecord } from "./saved.ts";
import { countText } from "./words.ts";

/** So many distinct users in a row who met only failures mean that the candidate is down. */
const deadUsers = 10;
/** Beyond, the baseline answers too seldom to be waited for: at 95 %, after twenty users of the candidate. */
const mostOddsWithBaseline = 0.95;
/** A baseline that fails more often has the same trouble. */
const mostBaselineFailures = 0.1;

/**
 * Did the last ten distinct users of the candidate meet nothing but failures, while the baseline answered? It needs no
 * probability: it stops a candidate that fails everything at any share, also where hardly a baseline is left to compare with.
 *
 * What the baseline did before the candidate's row of failures began says nothing, for both may have lost the same
 * database since. A plane does not tell when within a report its baseline's good answers were, so of the report in which
 * the row begins only those count that stand between later sightings.
 */
export class Catastrophe implements Judged {
  readonly name = "catastrophe";
  readonly metric = "catastrophe";
  readonly key = "catastrophe";
  readonly acts = true;
  readonly isShown = "once-failed";
  readonly #versions: { readonly baseline: string; readonly candidate: string };
  /** Distinct, of the row of failures that is now; no more than are needed. */
  #units: { readonly hi: number; readonly lo: number }[] = [];
  #hasBaseline = true;
  /** The baseline's answers since the row began. */
  #good = 0;
  #failed = 0;
  #beganNow = false;
  /** Whether the next bad answer of the baseline is the first since the row began. */
  #straddles = true;
  /** Good answers of the baseline that were reported one by one since its last bad one. */
  #goodSeen = 0;

  /** `saved`: undefined for a new rollout. */
  constructor(versions: { readonly baseline: string; readonly candidate: string }, saved: unknown) {
    this.#versions = versions;
    if (saved === undefined) return;
    const record = savedRecord(saved);
    this.#units = savedList(record["units"], readUnit).slice(0, deadUsers);
    this.#hasBaseline = record["hasBaseline"] === true;
    this.#good = savedCount(record["good"]);
    this.#failed = savedCount(record["failed"]);
  }

  take(sighting: Sighting): void {
    if (sighting.side === "candidate") this.#takeCandidate(sighting);
    else if (this.#beganNow) this.#takeBaseline(sighting);
  }

  endReport(drawn: AnswersBySide, sightings: readonly Sighting[]): void {
    const tellsFailure = sightings.some(({ side, bad }) => side === "candidate" && isFailure(bad));
    if (drawn.candidate.good > 0 && !tellsFailure) this.#units = [];
    else if (this.#beganNow) this.#good += this.#goodSeen;
    else this.#count(drawn.baseline);
    this.#beganNow = false;
  }

  verdict(): Verdict {
    if (this.#units.length < deadUsers) return "not-enough-data";
    if (!this.#hasBaseline) return "fail";
    const answers = this.#good + this.#failed;
    return answers > 0 && this.#failed <= mostBaselineFailures * answers ? "fail" : "not-enough-data";
  }

  finding(): Finding {
    const { baseline, candidate } = this.#versions;
    const answers = this.#good + this.#failed;
    const meanwhile = this.#hasBaseline
      ? `, while ${baseline} answered ${countText(this.#good)} of ${countText(answers)} requests well`
      : "";
    return {
      baseline: null,
      candidate: null,
      evidence: this.#units.length,
      limit: deadUsers,
      interval: null,
      why: `the last ${this.#units.length} users of ${candidate} met nothing but errors${meanwhile}`,
    };
  }

  save(): unknown {
    const [units, hasBaseline, good, failed] = [this.#units, this.#hasBaseline, this.#good, this.#failed];
    return { units: [...units], hasBaseline, good, failed };
  }

  #takeCandidate({ hi, lo, odds, bad, goodBefore }: Sighting): void {
    if (goodBefore > 0 || !isFailure(bad)) this.#units = [];
    if (!isFailure(bad)) return;
    if (this.#units.length === 0) {
      this.#good = 0;
      this.#failed = 0;
      this.#beganNow = true;
      this.#straddles = true;
      this.#goodSeen = 0;
      this.#hasBaseline = false;
    }
    this.#hasBaseline ||= odds <= mostOddsWithBaseline;
    const isKnown = this.#units.some((unit) => unit.hi === hi && unit.lo === lo);
    if (!isKnown && this.#units.length < deadUsers) this.#units.push({ hi, lo });
  }

  #takeBaseline({ bad, goodBefore }: Sighting): void {
    if (bad === 0) {
      this.#goodSeen += 1;
      return;
    }
    // The good answers before the first bad one may have been before the row began.
    this.#good = countSum(this.#good, this.#straddles ? this.#goodSeen : Math.max(goodBefore, this.#goodSeen));
    this.#straddles = false;
    this.#goodSeen = 0;
    if (isFailure(bad)) this.#failed += 1;
    else this.#good += 1;
  }

  #count({ good, failed }: AnswerCounts): void {
    this.#good = countSum(this.#good, good);
    this.#failed = countSum(this.#failed, failed);
  }
}

const isFailure = (bad: number): boolean => (bad & 1) !== 0;

function readUnit(value: unknown): { hi: number; lo: number } {
  const { hi, lo } = savedRecord(value);
  const unit = { hi: savedNumber(hi), lo: savedNumber(lo) };
  if ((unit.hi | 0) !== unit.hi || (unit.lo | 0) !== unit.lo) throw new ForeignShape("not a unit");
  return unit;
}
