import type { BadAnswerQuestions } from "../../observe/rollout/rollout-report.ts";

/** `BadAnswerQuestions` of a release as plain JSON; null stands for a limit that is not known yet. */
export interface ReleaseQuestions {
  readonly release: string;
  readonly failures: readonly number[];
  readonly slowLimitsMs: readonly (number | null)[];
  readonly wantsBaselineDurations: boolean;
}

export function writeQuestions(release: string, asked: BadAnswerQuestions): ReleaseQuestions {
  return {
    release,
    failures: [...asked.failures],
    slowLimitsMs: asked.slowLimitsMs.map((limit) => (Number.isFinite(limit) ? limit : null)),
    wantsBaselineDurations: asked.wantsBaselineDurations,
  };
}

export function readQuestions({
  failures,
  slowLimitsMs,
  wantsBaselineDurations,
}: ReleaseQuestions): BadAnswerQuestions {
  return {
    failures: new Set(failures),
    slowLimitsMs: slowLimitsMs.map((limit) => limit ?? Number.POSITIVE_INFINITY),
    wantsBaselineDurations,
  };
}
