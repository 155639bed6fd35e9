import type { RolloutEvent, RolloutState, SavedState } from "../../src/rollout/rollout-state.ts";

export const rolloutState: RolloutState = {
  release: "shop",
  id: "2.4.0",
  baseline: "stable",
  candidate: "canary",
  candidateEndpoints: ["shop http://10.0.0.2:80"],
  phase: "progressing",
  why: "step 2 began",
  sinceMs: 1_000,
  step: 1,
  heldMs: 500,
  countedAtMs: 1_500,
  weight: 10,
  rings: [{ key: "cn-east", weight: 50 }],
  planned: ["1 %", "10 %"],
  command: "run",
  startedAtMs: 0,
  track: [{ step: 0, startedAtMs: 0, endedAtMs: 1_000, heldMs: 1_000 }],
};

export const rolloutEvent: RolloutEvent = {
  id: 7,
  atMs: 1_000,
  release: "shop",
  rollout: "2.4.0",
  type: "step",
  phase: "progressing",
  step: 2,
  weight: 10,
  by: "perch",
  why: "step 1 was held for 5 m and no check failed",
  evidence: [],
};

export const savedState: SavedState = {
  format: "perch-rollouts",
  version: 1,
  revision: 3,
  rollouts: [rolloutState],
  splits: [{ release: "shop", split: { stable: 1 }, untilMs: null, by: "token 3f9a", why: "a test" }],
  events: [rolloutEvent],
  judge: { "shop 2.4.0": { users: 12 } },
};
