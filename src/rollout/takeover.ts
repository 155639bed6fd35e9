import { isDeepStrictEqual } from "node:util";
import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { RolloutSpec } from "../decide/rollout-spec.ts";
import type { Move, Planner, RolloutPreparation } from "./controller-parts.ts";
import { isWithdrawn, type RolloutState, type SplitOverride } from "./rollout-state.ts";
import { judgeKey, type Running, remembered, type World, waiting } from "./world.ts";

/** What the rollouts become under a configuration, before any of it is saved. */
export interface Takeover {
  /** Of releases whose rollout cannot continue with it. */
  readonly problems: RolloutPreparation["problems"];
  readonly moves: readonly Move[];
  /** All that are remembered; the same array if nothing changes. */
  readonly rollouts: readonly RolloutState[];
  /** Those that run. */
  readonly next: readonly NextRollout[];
}

export interface NextRollout {
  readonly spec: RolloutSpec;
  readonly state: RolloutState;
  /** The state before, if this rollout is known. */
  readonly before: RolloutState | undefined;
}

/**
 * A rollout that cannot continue with the configuration is left out, unless it runs, or was rolled back: no user may
 * get its candidate in that case.
 */
export function takeoverOf(
  releases: readonly ReleaseSpec[],
  known: readonly RolloutState[],
  running: ReadonlyMap<string, Pick<Running, "spec" | "state">>,
  { planner, nowMs }: { readonly planner: Planner; readonly nowMs: () => number },
): Takeover {
  let rollouts = known;
  const moves: Move[] = [];
  const problems: { release: string; message: string }[] = [];
  const next: NextRollout[] = [];
  for (const spec of [...releases, ...releasesGone(releases, known)]) {
    const states = known.filter(({ release }) => release === spec.name);
    const found = planner.reconcile(spec, states, nowMs());
    if (found.kind === "refused") {
      problems.push({ release: spec.name, message: found.message });
      const kept = keptOf(spec.rollout, states[0], running.get(spec.name));
      if (kept !== undefined) next.push(kept);
    }
    if (found.kind !== "moved") continue;
    moves.push(found);
    const { state } = found;
    if (!states.includes(state)) rollouts = remembered(rollouts, state);
    if (spec.rollout?.id !== state.id) continue;
    next.push({ spec: spec.rollout, state, before: states.find((old) => judgeKey(old) === judgeKey(state)) });
  }
  return { problems, moves, rollouts, next };
}

function keptOf(
  planned: RolloutSpec | undefined,
  newest: RolloutState | undefined,
  running: Pick<Running, "spec" | "state"> | undefined,
): NextRollout | undefined {
  if (running !== undefined) return { spec: running.spec, state: running.state, before: running.state };
  if (planned === undefined || newest === undefined || !isWithdrawn(newest)) return undefined;
  return { spec: planned, state: newest, before: newest };
}

/** Their rollouts were taken out with them. */
function releasesGone(releases: readonly ReleaseSpec[], known: readonly RolloutState[]) {
  const names = new Set(known.map(({ release }) => release));
  for (const { name } of releases) names.delete(name);
  return Array.from(names, (name) => ({ name, rollout: undefined }));
}

/** Whether the configuration withdraws a candidate that was not withdrawn before. */
export function withdraws({ state, before }: NextRollout): boolean {
  return isWithdrawn(state) && !(before !== undefined && isWithdrawn(before));
}

/**
 * What to use if it could not be saved: the previous state, unless this is a withdrawal. A new rollout lets the one
 * that it replaces continue, so that no user moves back to the baseline in the meantime; without such a one it waits, as
 * `why` says.
 */
export function unsaved(
  rollout: NextRollout,
  running: Pick<Running, "spec" | "state"> | undefined,
  why: string,
): NextRollout {
  if (withdraws(rollout)) return rollout;
  const { state, before } = rollout;
  if (before !== undefined) return { ...rollout, state: before };
  if (running === undefined) return { ...rollout, state: waiting(state, why) };
  return { spec: running.spec, state: running.state, before: running.state };
}

/** The world in which only the withdrawals take effect, since the rest could not be saved. */
export function withWithdrawn(world: World, withdrawn: readonly RolloutState[], nextRevision: () => number): World {
  if (withdrawn.length === 0) return world;
  return { ...world, rollouts: withdrawn.reduce(remembered, world.rollouts), revision: nextRevision() };
}

/**
 * The splits of operators that still hold under this configuration; the same array if all do. One without an end holds
 * until the configured split is another, and any only while the release has its versions.
 */
export function splitsUnder(
  splits: readonly SplitOverride[],
  before: ReadonlyMap<string, ReleaseSpec>,
  releases: readonly ReleaseSpec[],
): readonly SplitOverride[] {
  const left = splits.filter(({ release, split, untilMs }) => {
    const spec = releases.find(({ name }) => name === release);
    if (spec === undefined || !Object.keys(split).every((version) => spec.versions.includes(version))) return false;
    const old = before.get(release);
    return untilMs !== null || old === undefined || isDeepStrictEqual(old.split, spec.split);
  });
  return left.length === splits.length ? splits : left;
}
