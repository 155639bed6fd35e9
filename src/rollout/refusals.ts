import type { RefusedCause } from "./rollouts-api.ts";

export function refused<C extends RefusedCause>(cause: C, message: string) {
  return { kind: "refused", cause, message } as const;
}

export function conflict(revision: number) {
  return refused("conflict", `the state has changed since: it is at revision ${revision} now`);
}

export function notSaved(problem = "unknown") {
  return refused("not-saved", `nothing changed: the state cannot be saved: ${problem}`);
}
