import { bucketCount, durationBucketOf } from "../../src/observe/rollout/duration-buckets.ts";
import type { AnswersBySide, RolloutReport, Side, Sighting } from "../../src/observe/rollout/rollout-report.ts";

/** One answer to a drawn unit. */
export interface SimulatedAnswer {
  /** An index: its mixed words are the unit's. */
  readonly user: number;
  readonly side: Side;
  readonly odds: number;
  /** Bit 0: failed; the others as the questions have them. */
  readonly bad: number;
  readonly durationMs?: number;
}

interface Known {
  requests: number;
  /** Bits of the questions, by side. */
  readonly bad: Record<Side, number>;
  readonly sides: Set<Side>;
}

/** A data plane that forgets nobody: it makes reports of answers, by the rules of `rollout-report.ts`. */
export class SimulatedPlane {
  readonly #known = new Map<number, Known>();
  readonly #goodSince: Record<Side, number> = { baseline: 0, candidate: 0 };
  #sightings: Sighting[] = [];
  #drawn = { baseline: { good: 0, failed: 0 }, candidate: { good: 0, failed: 0 } };
  #durations: number[] | undefined;

  answer({ user, side, odds, bad, durationMs }: SimulatedAnswer): void {
    const known = this.#known.get(user) ?? { requests: 0, bad: { baseline: 0, candidate: 0 }, sides: new Set() };
    this.#known.set(user, known);
    known.requests += 1;
    const tells = known.requests <= 2 || (bad & ~known.bad[side]) !== 0 || !known.sides.has(side);
    const seen = known.requests === 1 ? "first" : known.requests === 2 ? "returned" : "known";
    if (tells) this.#sightings.push({ ...wordsOf(user), side, odds, seen, bad, goodBefore: this.#goodSince[side] });
    if (tells && bad !== 0) this.#goodSince[side] = 0;
    else if (bad === 0) this.#goodSince[side] += 1;
    known.bad[side] |= bad;
    known.sides.add(side);
    this.#drawn[side][(bad & 1) === 0 ? "good" : "failed"] += 1;
    if (durationMs !== undefined && side === "baseline") this.#countDuration(durationMs);
  }

  /** What was seen since the last report. */
  report(): RolloutReport {
    const report = {
      ...{ release: "shop", id: "2.4.0", sightings: this.#sightings, drawn: this.#drawn, placed: noAnswers },
      baselineDurations: this.#durations ?? [],
    };
    this.#sightings = [];
    this.#drawn = { baseline: { good: 0, failed: 0 }, candidate: { good: 0, failed: 0 } };
    this.#durations = undefined;
    return report;
  }

  #countDuration(ms: number): void {
    this.#durations ??= Array.from({ length: bucketCount }, () => 0);
    const bucket = durationBucketOf(ms);
    this.#durations[bucket] = (this.#durations[bucket] ?? 0) + 1;
  }
}

export const noAnswers: AnswersBySide = { baseline: { good: 0, failed: 0 }, candidate: { good: 0, failed: 0 } };

/** The words of a unit. */
export function wordsOf(user: number): { hi: number; lo: number } {
  return { hi: Math.imul(user, 0x9e3779b1) ^ 0x5bd1e995, lo: user | 0 };
}

/** Numbers in [0, 1) that are the same in each run (splitmix32). */
export function seededNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    const high = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    const low = Math.imul(high ^ (high >>> 15), 0x735a2d97);
    return ((low ^ (low >>> 15)) >>> 0) / 2 ** 32;
  };
}
