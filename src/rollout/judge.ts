import type { CheckSpec, RolloutSpec } from "../decide/rollout-spec.ts";
import type { AnswersBySide, BadAnswerQuestions, RolloutReport } from "../observe/rollout/rollout-report.ts";
import type { Judge } from "./controller-parts.ts";
import { AnswerSums } from "./evidence/answer-sums.ts";
import { capsOf, RequestRate } from "./evidence/caps.ts";
import { Catastrophe } from "./evidence/catastrophe.ts";
import { CompareCheck } from "./evidence/compare-check.ts";
import { DrawnUsers } from "./evidence/drawn-users.ts";
import { Drift } from "./evidence/drift.ts";
import type { Judged } from "./evidence/judged.ts";
import { badUnits, Questions } from "./evidence/questions.ts";
import { ForeignShape, savedRecord } from "./evidence/saved.ts";
import { ShareCheck } from "./evidence/share-check.ts";
import { Verdicts } from "./evidence/verdicts.ts";
import type { CheckResult } from "./rollout-state.ts";
import type { RolloutStatus } from "./rollouts-api.ts";

const format = "perch-judge";
const version = 1;

/**
 * Judges one rollout by what its data planes saw: pure, without I/O or a clock. Checks that ask others are not its own.
 *
 * The false alarm is shared evenly by the plan's `compare`, `at-most` and `margin` checks, and by drift if it may fail the
 * rollout; where drift only warns, it has its own false-alarm rate. A failed check stays failed, with its result at
 * that time, as long as its definition stays the same, also when other checks are edited and over a restart.
 *
 * Memory is bounded whatever clients send. Tables have 9 bytes a place and at most half of it taken: 65,536 bad units
 * (1.2 MB, as the sum over all questions), 32,768 units for drift (0.6 MB), four counts of distinct users (0.3 MB each).
 * That is 3 MB a rollout, or 4.5 MB if questions' parts are no powers of two. `save` writes at most 1.6 MB: the units'
 * 9 bytes as base64.
 */
export class RolloutJudge implements Omit<Judge, "mayBegin" | "close"> {
  readonly #parts: Parts;

  /** `saved`: what `save` gave. Undefined, or of another shape: a new rollout. */
  constructor(spec: RolloutSpec, saved: unknown) {
    this.#parts = partsOf(spec, saved);
  }

  /** What every data plane checks in each response. Changes only until a needed p95 of the baseline is known. */
  questions(): BadAnswerQuestions {
    return this.#parts.questions.asked;
  }

  /** Returns a failure once; from then on `look` returns it. */
  report(report: RolloutReport, nowMs: number): CheckResult | undefined {
    const { questions, users, drift, catastrophe, drawn, placed, rate, verdicts } = this.#parts;
    for (const sighting of report.sightings) {
      users.take(sighting);
      questions.take(sighting);
      drift?.take(sighting);
      catastrophe.take(sighting);
    }
    catastrophe.endReport(report.drawn, report.sightings);
    questions.takeDurations(report.baselineDurations);
    drawn.add(report.drawn);
    placed.add(report.placed);
    rate.add(report.drawn.candidate.good + report.drawn.candidate.failed, nowMs);
    return verdicts.update(nowMs);
  }

  /**
   * The check that failed last, on every call: a caller that could not act yet must see it again. A caller that
   * continues in spite of it compares its `atMs` with the time of its decision.
   */
  look(nowMs: number): CheckResult | undefined {
    const { rate, verdicts } = this.#parts;
    rate.add(0, nowMs);
    return verdicts.update(nowMs) ?? verdicts.failing();
  }

  beginStep(): void {
    this.#parts.users.beginStep();
  }

  /** The plan's in its order, drift, the configured caps, and a catastrophe once it happened. */
  checks(): readonly CheckResult[] {
    return this.#parts.verdicts.results();
  }

  /** Bad ones are those that met a failure. */
  get users(): RolloutStatus["users"] {
    const { users, questions } = this.#parts;
    const [failures] = questions.all;
    const of = (side: "baseline" | "candidate") => {
      return { users: users.count(side), bad: failures === undefined ? 0 : badUnits(failures, side) };
    };
    return { baseline: of("baseline"), candidate: of("candidate") };
  }

  get stepUsers(): RolloutStatus["stepUsers"] {
    const { users } = this.#parts;
    return { baseline: users.stepCount("baseline"), candidate: users.stepCount("candidate") };
  }

  get drawn(): AnswersBySide {
    return this.#parts.drawn.bySide;
  }

  get placed(): AnswersBySide {
    return this.#parts.placed.bySide;
  }

  save(): unknown {
    const { questions, users, drift, catastrophe, shares, verdicts } = this.#parts;
    return {
      format,
      version,
      questions: questions.save(),
      users: users.save(),
      drift: drift?.save(),
      catastrophe: catastrophe.save(),
      shares: Object.fromEntries(shares.map((check) => [check.key, check.save()])),
      drawn: this.drawn,
      placed: this.placed,
      verdicts: verdicts.save(),
    };
  }
}

interface Parts {
  readonly questions: Questions;
  readonly users: DrawnUsers;
  /** Undefined: off. */
  readonly drift: Drift | undefined;
  readonly catastrophe: Catastrophe;
  readonly shares: readonly ShareCheck[];
  readonly drawn: AnswerSums;
  readonly placed: AnswerSums;
  readonly rate: RequestRate;
  readonly verdicts: Verdicts;
}

function partsOf(spec: RolloutSpec, saved: unknown): Parts {
  try {
    const record = saved === undefined ? {} : savedRecord(saved);
    const isOwn = record["format"] === format && record["version"] === version;
    return restored(spec, isOwn ? record : {});
  } catch (error) {
    if (!(error instanceof ForeignShape)) throw error;
    return restored(spec, {});
  }
}

function restored(spec: RolloutSpec, saved: Readonly<Record<string, unknown>>): Parts {
  const { baseline, candidate, caps } = spec;
  const questions = new Questions(spec.checks, spec.failures, saved["questions"]);
  const users = new DrawnUsers(saved["users"]);
  const seen = { baseline, candidate, users, questions };
  const sharers = sharersOf(spec);
  const alpha = spec.falseAlarm / sharers;
  const savedShares = saved["shares"] === undefined ? {} : savedRecord(saved["shares"]);
  const planned = spec.checks.flatMap((check): (CompareCheck | ShareCheck)[] => {
    if (check.kind === "compare") return [new CompareCheck(check, seen, sharers / spec.falseAlarm)];
    if (check.kind !== "at-most" && check.kind !== "margin") return [];
    return [new ShareCheck(check, seen, alpha, savedShares[keyOf(check)])];
  });
  const driftLimit = spec.drift === "fail" ? sharers / spec.falseAlarm : 1 / spec.falseAlarm;
  const driftTerms = { acts: spec.drift === "fail", limit: driftLimit };
  const drift = spec.drift === "off" ? undefined : new Drift(candidate, driftTerms, saved["drift"]);
  const catastrophe = new Catastrophe({ baseline, candidate }, saved["catastrophe"]);
  const rate = new RequestRate();
  const [failures] = questions.all;
  const capped = capsOf(caps, candidate, {
    users: () => users.count("candidate"),
    failures: () => (failures === undefined ? 0 : badUnits(failures, "candidate")),
    requestsPerSecond: () => rate.perSecond(),
  });
  const judged: readonly Judged[] = [...planned, ...(drift === undefined ? [] : [drift]), ...capped, catastrophe];
  return {
    ...{ questions, users, drift, catastrophe, rate },
    shares: planned.filter((check) => check instanceof ShareCheck),
    drawn: new AnswerSums(saved["drawn"]),
    placed: new AnswerSums(saved["placed"]),
    verdicts: new Verdicts(judged, saved["verdicts"]),
  };
}

/** How many questions share the false alarm. */
function sharersOf({ checks, drift }: RolloutSpec): number {
  const statistical = checks.filter(({ kind }) => kind === "compare" || kind === "at-most" || kind === "margin");
  return Math.max(1, statistical.length + (drift === "fail" ? 1 : 0));
}

const keyOf = (check: CheckSpec): string => JSON.stringify(check);
