import type { RolloutEvent, SplitOverride } from "../rollout/rollout-state.ts";
import type { RolloutStatus, Rollouts } from "../rollout/rollouts-api.ts";

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

/** One rollout as the API shows it: times are ISO 8601, and absent values null. */
export function rolloutBody({ sinceMs, startedAtMs, checks, ...status }: RolloutStatus) {
  return { ...status, since: iso(sinceMs), startedAt: iso(startedAtMs), checks: checks.map(checkBody) };
}

export type RolloutBody = ReturnType<typeof rolloutBody>;

export function eventBody({ atMs, evidence, ...event }: RolloutEvent) {
  return { ...event, at: iso(atMs), evidence: evidence.map(checkBody) };
}

export type EventBody = ReturnType<typeof eventBody>;

export function splitBody({ untilMs, ...split }: SplitOverride) {
  return { ...split, until: iso(untilMs) };
}

function checkBody({ atMs, ...check }: RolloutStatus["checks"][number]) {
  return { ...check, at: iso(atMs) };
}

/** The body of `/api/rollouts`. */
export function rolloutsBody(rollouts: Rollouts | undefined) {
  return {
    revision: rollouts?.revision ?? 0,
    rollouts: rollouts?.all().map(rolloutBody) ?? [],
    splits: rollouts?.splits().map(splitBody) ?? [],
  };
}

export type SplitBody = ReturnType<typeof splitBody>;
export type RolloutsBody = ReturnType<typeof rolloutsBody>;
