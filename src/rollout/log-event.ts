import type { Logger } from "../observe/log.ts";
import type { RolloutEvent } from "./rollout-state.ts";

type Level = "info" | "warn" | "error";

const levels: Partial<Readonly<Record<RolloutEvent["type"], Level>>> = {
  holding: "warn",
  paused: "warn",
  aborted: "warn",
  check: "warn",
  "rolling-back": "error",
  "rolled-back": "error",
  state: "error",
};

/** One line for people: `why` is the sentence, the rest is for filters. */
export function logEvent(log: Logger, event: RolloutEvent): void {
  const { release, rollout, type, phase, step, weight, by, why } = event;
  log[levels[type] ?? "info"]({ release, rollout, event: type, phase, step, weight, by }, why);
}
