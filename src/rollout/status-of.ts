import type { Planner } from "./controller-parts.ts";
import type { RolloutStatus } from "./rollouts-api.ts";
import type { Running } from "./world.ts";

interface Moment {
  readonly revision: number;
  /** Why the state cannot be saved or read. */
  readonly problem: string | undefined;
  readonly nowMs: number;
}

export function statusOf({ spec, state, judge }: Running, planner: Planner, moment: Moment): RolloutStatus {
  const checks = judge.checks();
  const { release, id, baseline, candidate, phase, why, sinceMs, weight } = state;
  const { users, stepUsers, placed, drawn } = judge;
  return {
    ...{ release, id, baseline, candidate, phase, why, sinceMs, weight },
    ...{ checks, users, stepUsers, placed, drawn },
    revision: moment.revision,
    sentence: planner.sentence(spec, state, checks, moment.nowMs),
    step: state.step + 1,
    steps: planner.steps(spec, state),
    startedAtMs: state.startedAtMs ?? null,
    stateProblem: moment.problem ?? null,
  };
}
