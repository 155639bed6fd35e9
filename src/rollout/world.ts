import type { ReleaseTraffic, TrafficByRelease } from "../decide/release-traffic.ts";
import type { RolloutSpec } from "../decide/rollout-spec.ts";
import type { Judge, Planner } from "./controller-parts.ts";
import type { RolloutEvent, RolloutState, SavedState, SplitOverride } from "./rollout-state.ts";
import type { RolloutStatus } from "./rollouts-api.ts";

/** Everything that changes are made of; replaced as a whole. */
export interface World {
  readonly revision: number;
  /** Each release's newest first. */
  readonly rollouts: readonly RolloutState[];
  readonly splits: readonly SplitOverride[];
  /** What judges saved, of each release's newest rollout, also if it does not run. */
  readonly parked: ReadonlyMap<string, unknown>;
}

export interface Running {
  readonly spec: RolloutSpec;
  readonly state: RolloutState;
  readonly judge: Judge;
}

export function worldOf(saved: SavedState | undefined): World {
  const { revision = 0, rollouts = [], splits = [], judge = {} } = saved ?? {};
  return { revision, rollouts, splits, parked: new Map(Object.entries(judge)) };
}

/** A rollout that has not begun, and why: it `waits …`. */
export function waiting(state: RolloutState, why: string): RolloutState {
  return { ...state, phase: "pending", why, step: -1, weight: 0, rings: [], track: [] };
}

export function judgeKey({ release, id }: RolloutState): string {
  return `${release} ${id}`;
}

/** Bounds the state file; the process keeps more. */
const maxSavedEvents = 200;

/** Bounds the state file. A rollout restored after more others than this starts over. */
const maxRemembered = 20;

/** The states with this one first, replacing the one of the same rollout. */
export function remembered(states: readonly RolloutState[], state: RolloutState): readonly RolloutState[] {
  const others = states.filter((other) => other.release !== state.release || other.id !== state.id);
  let kept = 1;
  return [state, ...others.filter(({ release }) => release !== state.release || ++kept <= maxRemembered)];
}

export function trafficOf(
  world: Pick<World, "splits">,
  running: Iterable<Pick<Running, "state">>,
  planner: Planner,
): TrafficByRelease {
  const traffic = new Map<string, ReleaseTraffic>();
  for (const { release, split } of world.splits) traffic.set(release, { split, rollout: undefined });
  for (const { state } of running) {
    const rollout = planner.trafficOf(state);
    if (rollout !== undefined) traffic.set(state.release, { split: traffic.get(state.release)?.split, rollout });
  }
  return traffic;
}

/** Up to 1.6 MB a rollout: that of older ones is dropped, since a rollout never continues after a later one began. */
export function evidenceOfNewest(
  rollouts: readonly RolloutState[],
  evidence: ReadonlyMap<string, unknown>,
): ReadonlyMap<string, unknown> {
  const newest = new Map([...rollouts].reverse().map((state) => [state.release, judgeKey(state)]));
  const keys = new Set(newest.values());
  return new Map([...evidence].filter(([key]) => keys.has(key)));
}

export function savedStateOf(
  { revision, rollouts, splits }: World,
  events: readonly RolloutEvent[],
  evidence: ReadonlyMap<string, unknown>,
): SavedState {
  const judge = Object.fromEntries(evidenceOfNewest(rollouts, evidence));
  return {
    ...{ format: "perch-rollouts", version: 1, revision, rollouts, splits, judge },
    events: events.slice(-maxSavedEvents),
  };
}

/** Why this split cannot be used, as a sentence; undefined if it can. */
export function splitProblem(
  versions: readonly string[],
  split: Readonly<Record<string, number>>,
  forMs: number | undefined,
): string | undefined {
  const unknown = Object.keys(split).find((version) => !versions.includes(version));
  if (unknown !== undefined) return `there is no version ${unknown}; the release has ${versions.join(", ")}`;
  const weights = Object.values(split);
  if (weights.some((weight) => !Number.isFinite(weight) || weight < 0)) return "a weight is a number from 0 up";
  if (weights.every((weight) => weight === 0)) return "at least one weight must be above 0";
  if (forMs !== undefined && !(forMs > 0)) return "the time must be above 0";
  return undefined;
}

interface Judged extends Pick<Running, "spec" | "state"> {
  readonly judge: Pick<Judge, "checks" | "users" | "stepUsers" | "placed" | "drawn">;
}

interface Moment {
  readonly revision: number;
  /** Why the state cannot be saved or read. */
  readonly problem: string | undefined;
  readonly nowMs: number;
}

export function statusOf({ spec, state, judge }: Judged, planner: Planner, moment: Moment): RolloutStatus {
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
