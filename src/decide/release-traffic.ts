import type { Weights } from "./release-spec.ts";

/**
 * Who gets which version now, beside what the configuration says: plain data that may be sent to another thread. It
 * replaces what the release had as a whole, and applies to the next decision.
 */
export interface ReleaseTraffic {
  /** Replaces the configured split for a while. */
  readonly split: Weights | undefined;
  /** Undefined: no rollout runs, and the split holds. */
  readonly rollout: RolloutTraffic | undefined;
}

export interface RolloutTraffic {
  readonly id: string;
  readonly baseline: string;
  readonly candidate: string;
  /** `withdrawn`: rolled back. Nobody gets the candidate but by an override, or by a rule with `onRollback: keep`. */
  readonly candidateIs: "drawn" | "withdrawn";
  /** The candidate's share of the units that are drawn to baseline or candidate, in percent. */
  readonly weight: number;
  /** From 0. It does not affect draws: data planes report all units again in each step. */
  readonly step: number;
  /** Rings reached so far. A unit that meets several, or whose ring is below `weight`, has the highest. */
  readonly rings: readonly { readonly key: string; readonly weight: number }[];
}

/** By release. For an absent release, the configuration applies. */
export type TrafficByRelease = ReadonlyMap<string, ReleaseTraffic>;
