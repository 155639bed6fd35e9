import type { CheckSpec } from "../../decide/rollout-spec.ts";
import type { Side } from "../../observe/rollout/rollout-report.ts";
import type { Finding, Judged, Seen, Verdict } from "./judged.ts";
import { badUnits, type Question } from "./questions.ts";
import { savedCount, savedNumber, savedRecord } from "./saved.ts";
import { differenceInterval, type Interval, type ShareCounts, shareInterval } from "./share-interval.ts";
import { badText, countText, percentText, pointsText } from "./words.ts";

type ShareSpec = Extract<CheckSpec, { kind: "at-most" | "margin" }>;
type Counts = Readonly<Record<Side, ShareCounts>>;

/** Beyond this, a number of further users is of no use to the reader. */
const mostFactor = 1e6;

/**
 * The share of the candidate's users that meet a bad answer (`at-most`), or by how much it exceeds the baseline's
 * (`margin`): it fails once all that is possible is above `share`, and passes once nothing is. The candidate's users
 * came later and had less time to meet a bad answer: a `margin` passes on what happened so far.
 *
 * Its counts are exact up to the maximum number of bad units kept; beyond that they no longer change.
 */
export class ShareCheck implements Judged {
  readonly key: string;
  readonly acts = true;
  readonly isShown = "always";
  readonly #spec: ShareSpec;
  readonly #seen: Seen;
  readonly #question: Question;
  readonly #alpha: number;
  #counts: Counts;
  #interval: Interval | undefined;

  /** `saved`: undefined for a new check. */
  constructor(spec: ShareSpec, seen: Seen, alpha: number, saved: unknown) {
    this.key = JSON.stringify(spec);
    this.#spec = spec;
    this.#seen = seen;
    this.#question = seen.questions.of(spec);
    this.#alpha = alpha;
    this.#counts = saved === undefined ? this.#current() : readCounts(saved);
  }

  get name(): string {
    return this.#spec.name;
  }

  get metric(): "errors" | "slow" {
    return this.#spec.metric;
  }

  verdict(): Verdict {
    this.#update();
    if (this.#counts.candidate.users === 0) return "not-enough-data";
    this.#interval ??= this.#intervalOf(this.#counts);
    const [low, high] = this.#interval;
    if (low > this.#spec.share) return "fail";
    return high <= this.#spec.share ? "pass" : "not-enough-data";
  }

  finding(verdict: Verdict): Finding {
    this.#update();
    const { baseline, candidate } = this.#counts;
    const interval = this.#interval ?? this.#intervalOf(this.#counts);
    return {
      baseline: { users: baseline.users, bad: baseline.bad },
      candidate: { users: candidate.users, bad: candidate.bad },
      evidence: null,
      limit: this.#spec.share,
      interval,
      why: `${this.#sentence(verdict, interval)}${this.#frozen()}`,
    };
  }

  save(): unknown {
    return this.#counts;
  }

  #update(): void {
    if (this.#question.units.oneOf > 1) return;
    const counts = this.#current();
    if (isEqual(counts.baseline, this.#counts.baseline) && isEqual(counts.candidate, this.#counts.candidate)) return;
    this.#counts = counts;
    this.#interval = undefined;
  }

  #current(): Counts {
    const countsOf = (side: Side): ShareCounts => {
      const bad = badUnits(this.#question, side);
      const { users } = this.#seen;
      return { bad, users: Math.max(bad, users.count(side)), within: users.within(side) };
    };
    return { baseline: countsOf("baseline"), candidate: countsOf("candidate") };
  }

  #intervalOf({ baseline, candidate }: Counts): Interval {
    if (this.#spec.kind === "at-most") return shareInterval(candidate, this.#alpha);
    return differenceInterval(candidate, baseline, this.#alpha);
  }

  #sentence(verdict: Verdict, [low, high]: Interval): string {
    const { candidate, baseline } = this.#counts;
    const bad = badText(this.#spec, this.#seen.questions.limitMs(this.#spec));
    const name = this.#seen.candidate;
    const share = percentText(this.#spec.share);
    const of = ({ bad, users }: ShareCounts) => `${countText(bad)} of ${countText(users)}`;
    if (candidate.users === 0) return `no user was drawn to ${name} yet`;
    const rest = `to pass, more than ${this.#spec.kind === "margin" ? pointsText(this.#spec.share) : share} must be ruled out`;
    if (this.#spec.kind === "at-most") {
      const did = `(${of(candidate)} did); the limit is ${share}`;
      if (verdict === "fail") return `at least ${percentText(low)} of ${name}'s users meet ${bad} ${did}`;
      if (verdict === "pass") return `at most ${percentText(high)} of ${name}'s users meet ${bad} ${did}`;
      const range = `${percentText(low)} to ${percentText(high)} of ${name}'s users may meet ${bad}`;
      return `${range} (${of(candidate)} did); ${rest}: ${this.#missing()}`;
    }
    const other = this.#seen.baseline;
    const those = `the share of ${name}'s users who meet ${bad}`;
    const did = `(${of(candidate)} on ${name}, ${of(baseline)} on ${other})`;
    const margin = `the margin is ${pointsText(this.#spec.share)}`;
    if (verdict === "fail") return `${those} is at least ${above(low)} ${other}'s ${did}; ${margin}`;
    if (verdict === "pass") return `${those} is at most ${above(high)} ${other}'s ${did}; ${margin}`;
    return `${those} may be from ${above(low)} to ${above(high)} ${other}'s ${did}; ${rest}: ${this.#missing()}`;
  }

  /** If shares stay as they are. */
  #missing(): string {
    const passes = (factor: number): boolean => {
      const times = ({ bad, users, within }: ShareCounts): ShareCounts => {
        return { bad: bad * factor, users: users * factor, within };
      };
      const { baseline, candidate } = this.#counts;
      return this.#intervalOf({ baseline: times(baseline), candidate: times(candidate) })[1] <= this.#spec.share;
    };
    if (!passes(mostFactor)) return "more users alone will not do that";
    let [low, high] = [1, mostFactor];
    while (high / low > 1.05) {
      const middle = Math.sqrt(low * high);
      if (passes(middle)) high = middle;
      else low = middle;
    }
    const more = Number((this.#counts.candidate.users * (high - 1)).toPrecision(2));
    return `that takes about ${countText(Math.max(1, more))} more users of ${this.#seen.candidate} if it stays so`;
  }

  #frozen(): string {
    const { oneOf } = this.#question.units;
    return oneOf === 1 ? "" : " (as it was when more users had met one than can be told apart)";
  }
}

function above(difference: number): string {
  return `${pointsText(Math.abs(difference))} ${difference < 0 ? "below" : "above"}`;
}

function isEqual(left: ShareCounts, right: ShareCounts): boolean {
  return left.bad === right.bad && left.users === right.users && left.within === right.within;
}

function readCounts(saved: unknown): Counts {
  const read = (value: unknown): ShareCounts => {
    const { bad, users, within } = savedRecord(value);
    const count = savedCount(users);
    return {
      users: count,
      bad: savedCount(bad, count),
      within: within === undefined ? undefined : savedNumber(within),
    };
  };
  const { baseline, candidate } = savedRecord(saved);
  return { baseline: read(baseline), candidate: read(candidate) };
}
