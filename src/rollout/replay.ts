import type { RolloutSpec } from "../decide/rollout-spec.ts";
