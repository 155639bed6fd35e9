import type { Schedule } from "../../upstream/clock.ts";
import type { CheckResult } from "../rollout-state.ts";
import type { Poster } from "./post.ts";

/** What the checks that ask others share. */
export interface ExternalCheckParts {
  readonly poster: Poster;
  readonly nowMs: () => number;
  readonly schedule: Schedule;
  /** A result is another one now. */
  readonly changed: () => void;
}

/** Asks now, and again `everyMs` after each answer, until it is stopped; one question at a time. */
export class Asking {
  #cancel: () => void = () => {};
  #isStopped = false;

  /** `ask` resolves with "again", or "enough" to stop. It must not reject. */
  constructor(schedule: Schedule, everyMs: number, ask: () => Promise<"again" | "enough">) {
    const run = async () => {
      const wants = await ask();
      if (wants === "again" && !this.#isStopped) this.#cancel = schedule(everyMs, () => void run());
    };
    void run();
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }
}

/** A result without users. */
export function externalResult(
  of: Pick<CheckResult, "name" | "metric" | "verdict" | "why"> & Partial<Pick<CheckResult, "evidence" | "limit">>,
  before: CheckResult | undefined,
  nowMs: number,
): CheckResult {
  // The time at which the verdict fell, not the last time it was confirmed.
  const fellAtMs = before?.verdict === of.verdict ? before.atMs : nowMs;
  const atMs = of.verdict === "not-enough-data" ? null : fellAtMs;
  return { evidence: null, limit: null, ...of, atMs, baseline: null, candidate: null, interval: null };
}
