import type { RolloutTraffic } from "../../decide/release-traffic.ts";
import type { Unit } from "../../decide/unit.ts";
import { bucketCount, durationBucketOf } from "./duration-buckets.ts";
import { badAnswer, type EndedAnswer, failureBit, switchingProtocols } from "./failed-answer.ts";
import { KnownUnits } from "./known-units.ts";
import type { AnswersBySide, BadAnswerQuestions, RolloutReport, Side, Sighting } from "./rollout-report.ts";

export interface RolloutTapParts {
  /** Takes a report. May call back into what made this tap, and must not throw. */
  readonly handOver: (report: RolloutReport) => void;
  /** Calls back once after `ms` milliseconds; returns a function that cancels the call. */
  readonly schedule: (ms: number, callback: () => void) => () => void;
  /** As of `KnownUnits`. */
  readonly seed: number;
}

/** How long news may wait, except a bad answer, which does not wait. */
const handOverMs = 100;
/** So many sightings do not wait either, which bounds the memory. */
const maxSightings = 1_024;

/** What is known of a unit, beside its bad answers: flags, then the number of the direction when it was last reported. */
const seenOnce = 1;
const seenAgain = 2;
const onCandidate = 4;
/** Its last answer did not fail. */
const wentWell = 8;
const directionShift = 4;

/**
 * What one data plane sees of one rollout. A request whose unit is known and whose answer is good adds to two counters
 * and looks the unit up; it allocates nothing.
 *
 * A unit is reported when it is new, when it returns, at its first answer in a step or on another side, when it meets an
 * answer that is bad in a new way, and when it fails after an answer that did not.
 */
export class RolloutTap {
  readonly release: string;
  readonly id: string;
  readonly baseline: string;
  readonly candidate: string;
  readonly #parts: RolloutTapParts;
  readonly #units: KnownUnits;
  readonly #onBaseline = new SideCounts();
  readonly #onCandidate = new SideCounts();
  readonly #durations = new Array<number>(bucketCount).fill(0);
  #hasDurations = false;
  #sightings: Sighting[] = [];
  #traffic: RolloutTraffic;
  #questions: BadAnswerQuestions;
  #direction = 0;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(release: string, traffic: RolloutTraffic, questions: BadAnswerQuestions, parts: RolloutTapParts) {
    this.release = release;
    this.id = traffic.id;
    this.baseline = traffic.baseline;
    this.candidate = traffic.candidate;
    this.#parts = parts;
    this.#units = new KnownUnits(parts.seed);
    this.#traffic = traffic;
    this.#questions = questions;
  }

  /** Goes on with other weights or questions. Returns false if this is another rollout. */
  direct(traffic: RolloutTraffic, questions: BadAnswerQuestions): boolean {
    const { id, baseline, candidate } = this;
    if (traffic.id !== id || traffic.baseline !== baseline || traffic.candidate !== candidate) return false;
    if (!isSameStep(traffic, this.#traffic)) this.#direction++;
    this.#traffic = traffic;
    this.#questions = questions;
    return true;
  }

  /** The side of a version; undefined for one that is not of the rollout. */
  sideOf(version: string): Side | undefined {
    if (version === this.candidate) return "candidate";
    return version === this.baseline ? "baseline" : undefined;
  }

  /**
   * Takes a request that ended. `odds` are those of its decision; without them or a unit it is shown, not judged.
   */
  observe(unit: Unit | undefined, side: Side, odds: number | undefined, answer: EndedAnswer): void {
    const bad = badAnswer(answer, this.#questions);
    if (bad === undefined || this.#isClosed) return;
    this.#cancel ??= this.#parts.schedule(handOverMs, () => this.#handOver("all"));
    const counts = side === "candidate" ? this.#onCandidate : this.#onBaseline;
    const failed = (bad & failureBit) !== 0;
    if (unit === undefined || odds === undefined) {
      if (failed) counts.placedFailed++;
      else counts.placedGood++;
      return;
    }
    if (failed) counts.drawnFailed++;
    else counts.drawnGood++;
    if (side === "baseline" && this.#questions.wantsBaselineDurations) this.#addDuration(answer);
    this.#judge(unit, side, odds, bad, counts);
  }

  /** This rollout is no longer observed. What was not handed over is dropped. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  #judge(unit: Unit, side: Side, odds: number, bad: number, counts: SideCounts): void {
    const units = this.#units;
    const place = units.find(unit.hi, unit.lo);
    const before = units.stateAt(place);
    const sideFlag = side === "candidate" ? onCandidate : 0;
    const settled = (this.#direction << directionShift) | seenOnce | seenAgain | sideFlag;
    if (bad === 0 && before === (settled | wentWell)) {
      counts.goodSinceBad++;
      return;
    }
    const isSameSide = (before & onCandidate) === sideFlag;
    const knownBad = isSameSide ? units.badAt(place) : 0;
    const failed = (bad & failureBit) !== 0;
    const isNewlyBad = (bad & ~knownBad) !== 0 || (failed && (before & wentWell) !== 0);
    const isNews = isNewlyBad || (before & ~wentWell) !== settled;
    const isReportedBad = isNews && bad !== 0;
    if (isNews) this.#sightings.push(sighting(unit, side, odds, before, bad, counts.goodSinceBad));
    const seen = before === 0 ? settled & ~seenAgain : settled;
    units.set(place, failed ? seen : seen | wentWell, knownBad | bad);
    if (isReportedBad) counts.goodSinceBad = 0;
    else if (!failed) counts.goodSinceBad++;
    if (isReportedBad) this.#handOver("news");
    else if (this.#sightings.length >= maxSightings) this.#handOver("all");
  }

  #addDuration({ status, durationMs }: EndedAnswer): void {
    if (status === switchingProtocols) return;
    const bucket = durationBucketOf(durationMs);
    this.#durations[bucket] = (this.#durations[bucket] ?? 0) + 1;
    this.#hasDurations = true;
  }

  /** `news`: the durations wait for their turn, since there are hundreds of buckets. */
  #handOver(what: "all" | "news"): void {
    const withDurations = what === "all" && this.#hasDurations;
    if (what === "all" || !this.#hasDurations) {
      this.#cancel?.();
      this.#cancel = undefined;
    }
    const report: RolloutReport = {
      release: this.release,
      id: this.id,
      sightings: this.#sightings,
      drawn: drawnOf(this.#onBaseline, this.#onCandidate),
      placed: placedOf(this.#onBaseline, this.#onCandidate),
      baselineDurations: withDurations ? [...this.#durations] : [],
    };
    // What takes the report may direct or close this tap, so nothing is changed after.
    this.#sightings = [];
    this.#onBaseline.clear();
    this.#onCandidate.clear();
    if (withDurations) {
      this.#durations.fill(0);
      this.#hasDurations = false;
    }
    this.#parts.handOver(report);
  }
}

/** Since the last report, except for `goodSinceBad`. */
class SideCounts {
  drawnGood = 0;
  drawnFailed = 0;
  placedGood = 0;
  placedFailed = 0;
  /** Answers to drawn units that did not fail since the last bad one that was reported. */
  goodSinceBad = 0;

  clear(): void {
    this.drawnGood = 0;
    this.drawnFailed = 0;
    this.placedGood = 0;
    this.placedFailed = 0;
  }
}

function drawnOf(baseline: SideCounts, candidate: SideCounts): AnswersBySide {
  return {
    baseline: { good: baseline.drawnGood, failed: baseline.drawnFailed },
    candidate: { good: candidate.drawnGood, failed: candidate.drawnFailed },
  };
}

function placedOf(baseline: SideCounts, candidate: SideCounts): AnswersBySide {
  return {
    baseline: { good: baseline.placedGood, failed: baseline.placedFailed },
    candidate: { good: candidate.placedGood, failed: candidate.placedFailed },
  };
}

function sighting(
  { hi, lo }: Unit,
  side: Side,
  odds: number,
  before: number,
  bad: number,
  goodBefore: number,
): Sighting {
  const seen = before === 0 ? "first" : (before & seenAgain) === 0 ? "returned" : "known";
  return { hi, lo, side, odds, seen, bad, goodBefore };
}

function isSameStep(one: RolloutTraffic, other: RolloutTraffic): boolean {
  if (one.step !== other.step || one.weight !== other.weight || one.rings.length !== other.rings.length) return false;
  return one.rings.every(({ key, weight }, at) => key === other.rings[at]?.key && weight === other.rings[at]?.weight);
}
