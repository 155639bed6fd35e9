import type { BadAnswer, CheckSpec } from "../../decide/rollout-spec.ts";
import { bucketCount, quantileOf } from "../../observe/rollout/duration-buckets.ts";
import type { BadAnswerQuestions, Side, Sighting } from "../../observe/rollout/rollout-report.ts";
import { CoinEvidence, worse } from "./coin-evidence.ts";
import { savedCount, savedList, savedNumber, savedRecord } from "./saved.ts";
import { UnitSample } from "./unit-sample.ts";

/** How many units with bad responses are kept, over all questions of a rollout; each question has an equal part. */
const maxBadUnits = 65_536;
/** Bits of `Sighting.bad`. */
const maxQuestions = 31;
const leastBaselineAnswers = 200;
const enoughBaselineAnswers = 500;
const marks = { baseline: 1, candidate: 2 } as const;

/** One way in which an answer can be bad, who met it, and what that says of the candidate. */
export interface Question {
  readonly answer: BadAnswer;
  readonly units: UnitSample;
  /** Each unit's first bad answer is a toss. */
  readonly coin: CoinEvidence;
}

export function badUnits({ units }: Question, side: Side): number {
  return units.countOf(marks[side]);
}

/**
 * What the planes ask of each answer, for all checks of one rollout: bit 0 is a failure, the others are the distinct
 * `over` in the order of the plan. A unit counts once a question for the comparison, at its first bad answer on either
 * side, and once a side for the shares. Beyond 65,536 bad units, shared evenly by the questions, every second by hash is
 * told apart, then every fourth.
 *
 * `p95` is the baseline's own: `Infinity`, and nothing is slow, before 200 of its answers are known. It follows them up
 * to 500 and is frozen there, so that the question stays one question, also when the load changes.
 */
export class Questions {
  /** By bit. */
  readonly all: readonly Question[];
  readonly #failures: ReadonlySet<number>;
  readonly #wantsP95: boolean;
  /** The baseline's durations by bucket, up to where the limit is frozen. */
  readonly #durations: number[] = Array.from({ length: bucketCount }, () => 0);
  #answers = 0;
  #p95Ms = Number.POSITIVE_INFINITY;
  #asked: BadAnswerQuestions;

  /** `saved`: undefined for a new rollout. Questions that were not saved are new. */
  constructor(checks: readonly CheckSpec[], failures: ReadonlySet<number>, saved: unknown) {
    this.#failures = failures;
    const slow = new Set(checks.flatMap((check) => ("over" in check && check.metric === "slow" ? [check.over] : [])));
    const answers: readonly BadAnswer[] = [
      { metric: "errors", over: undefined },
      ...[...slow].slice(0, maxQuestions - 1).map((over) => ({ metric: "slow", over }) as const),
    ];
    const record = saved === undefined ? {} : savedRecord(saved);
    const known = record["all"] === undefined ? {} : savedRecord(record["all"]);
    const capacity = Math.floor(maxBadUnits / answers.length);
    this.all = answers.map((answer) => questionOf(answer, known[keyOf(answer)], capacity));
    this.#wantsP95 = slow.has("p95");
    if (record["durations"] !== undefined) this.#restore(record);
    this.#asked = this.#ask();
  }

  /** The same object until it changes. */
  get asked(): BadAnswerQuestions {
    return this.#asked;
  }

  /** How many more of the baseline's answers the limit waits for. */
  missingAnswers({ over }: BadAnswer): number {
    return over === "p95" ? Math.max(0, leastBaselineAnswers - this.#answers) : 0;
  }

  /** Slower than this is bad; `Infinity` while it is not known, and for failures. */
  limitMs({ over }: BadAnswer): number {
    return over === "p95" ? this.#p95Ms : (over ?? Number.POSITIVE_INFINITY);
  }

  of(check: BadAnswer): Question {
    const found = this.all.find(({ answer }) => keyOf(answer) === keyOf(check));
    if (found === undefined) throw new Error(`no question asks for ${keyOf(check)}`);
    return found;
  }

  take({ hi, lo, side, odds, bad }: Sighting): void {
    if (bad === 0) return;
    for (const [bit, { units, coin }] of this.all.entries()) {
      if ((bad & (1 << bit)) === 0) continue;
      if (units.mark(hi, lo, marks[side]) === 0) coin.toss(side === "candidate", odds);
    }
  }

  /** The baseline's durations of one report; too few or none are no error. */
  takeDurations(durations: readonly number[]): void {
    if (!this.#asked.wantsBaselineDurations) return;
    for (const [bucket, count] of durations.slice(0, bucketCount).entries()) {
      this.#durations[bucket] = (this.#durations[bucket] ?? 0) + count;
      this.#answers += count;
    }
    const before = this.#p95Ms;
    this.#findP95();
    if (this.#p95Ms !== before || this.#answers >= enoughBaselineAnswers) this.#asked = this.#ask();
  }

  save(): unknown {
    const all = Object.fromEntries(
      this.all.map(({ answer, units, coin }) => [keyOf(answer), { units: units.save(), coin: coin.save() }]),
    );
    return this.#wantsP95 ? { all, durations: [...this.#durations] } : { all };
  }

  #ask(): BadAnswerQuestions {
    return {
      failures: this.#failures,
      slowLimitsMs: this.all.slice(1).map(({ answer }) => this.limitMs(answer)),
      wantsBaselineDurations: this.#wantsP95 && this.#answers < enoughBaselineAnswers,
    };
  }

  #restore(record: Readonly<Record<string, unknown>>): void {
    const durations = savedList(record["durations"], (count) => savedCount(count));
    for (const [bucket, count] of durations.slice(0, bucketCount).entries()) this.#durations[bucket] = count;
    this.#answers = this.#durations.reduce((sum, count) => sum + savedNumber(count), 0);
    this.#findP95();
  }

  #findP95(): void {
    if (this.#answers >= leastBaselineAnswers) this.#p95Ms = quantileOf(this.#durations, 0.95);
  }
}

function questionOf(answer: BadAnswer, saved: unknown, capacity: number): Question {
  if (saved === undefined) return { answer, units: new UnitSample(capacity), coin: new CoinEvidence(worse) };
  const { units, coin } = savedRecord(saved);
  return { answer, units: UnitSample.restore(units, capacity), coin: CoinEvidence.restore(coin, worse) };
}

function keyOf({ metric, over }: BadAnswer): string {
  return over === undefined ? metric : `${metric} ${over}`;
}
