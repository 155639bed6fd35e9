import type { AnswerCounts, AnswersBySide } from "../../observe/rollout/rollout-report.ts";
import { countSum, savedCount, savedRecord } from "./saved.ts";

/** Answers by side since the rollout began. */
export class AnswerSums {
  #sums: AnswersBySide;

  /** `saved`: undefined for a new rollout. */
  constructor(saved: unknown) {
    const { baseline, candidate } = saved === undefined ? {} : savedRecord(saved);
    this.#sums = { baseline: readCounts(baseline), candidate: readCounts(candidate) };
  }

  get bySide(): AnswersBySide {
    return this.#sums;
  }

  add({ baseline, candidate }: AnswersBySide): void {
    this.#sums = { baseline: sum(this.#sums.baseline, baseline), candidate: sum(this.#sums.candidate, candidate) };
  }
}

function sum(left: AnswerCounts, right: AnswerCounts): AnswerCounts {
  return { good: countSum(left.good, right.good), failed: countSum(left.failed, right.failed) };
}

function readCounts(saved: unknown): AnswerCounts {
  if (saved === undefined) return { good: 0, failed: 0 };
  const { good, failed } = savedRecord(saved);
  return { good: savedCount(good), failed: savedCount(failed) };
}
