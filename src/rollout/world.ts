import type { ReleaseTraffic, TrafficByRelease } from "../decide/release-traffic.ts";
import type { RolloutSpec } from "../decide/rollout-spec.ts";
import type { Judge, Planner } from "./controller-parts.ts";
import type { RolloutEvent, RolloutState, SavedState, SplitOverride } from "./rollout-state.ts";

/** Everything that changes are made of; replaced as a whole. */
export interface World {
  readonly revision: number;
  /** Each release's newest first. */
  readonly rollouts: readonly RolloutState[];
  readonly splits: readonly SplitOverride[];
  /** What judges saved, also of rollouts that do not run. */
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

/** A rollout that has not begun because that cannot be saved. */
export function waiting(state: RolloutState, problem = "unknown"): RolloutState {
  const why = `waits: its state cannot be saved (${problem})`;
  return { ...state, phase: "pending", why, step: -1, weight: 0, rings: [], track: [] };
}

export function judgeKey({ release, id }: RolloutState): string {
  return `${release} ${id}`;
}

export function isWithdrawn({ phase }: RolloutState): boolean {
  return phase === "rolling-back" || phase === "rolled-back";
}

/** Bounds the state file; a rollout put back after so many others begins anew. */
const maxRemembered = 20;

/** With this state in front, in place of the one of the same rollout. */
export function remembered(states: readonly RolloutState[], state: RolloutState): readonly RolloutState[] {
  const others = states.filter((other) => other.release !== state.release || other.id !== state.id);
  let kept = 1;
  return [state, ...others.filter(({ release }) => release !== state.release || ++kept <= maxRemembered)];
}

export function trafficOf(world: World, running: Iterable<Running>, planner: Planner): TrafficByRelease {
  const traffic = new Map<string, ReleaseTraffic>();
  for (const { release, split } of world.splits) traffic.set(release, { split, rollout: undefined });
  for (const { spec, state } of running) {
    const rollout = planner.trafficOf(spec, state);
    if (rollout !== undefined) traffic.set(state.release, { split: traffic.get(state.release)?.split, rollout });
  }
  return traffic;
}

export function savedStateOf(
  { revision, rollouts, splits }: World,
  events: readonly RolloutEvent[],
  evidence: ReadonlyMap<string, unknown>,
): SavedState {
  const keys = new Set(rollouts.map(judgeKey));
  const judge = Object.fromEntries([...evidence].filter(([key]) => keys.has(key)));
  return { format: "perch-rollouts", version: 1, revision, rollouts, splits, events, judge };
}
