import { type Check, compileCondition } from "../decide/compile-condition.ts";
import type { Facts } from "../decide/facts.ts";
import type { Unit } from "../decide/unit.ts";
import type { FaultStats } from "../observe/stats-registry.ts";
import type { FaultSpec, FaultTarget } from "../route/route-spec.ts";

/** The inputs that decide whether a fault applies to a request. */
export interface FaultContext {
  readonly facts: Facts;
  readonly unit: Unit;
  readonly nowMs: number;
  /** From 0 to below 1. */
  randomFraction(): number;
}

/** The faults that a route injects. */
export class Fault {
  readonly spec: FaultSpec;
  readonly #delay: Check | undefined;
  readonly #abort: Check | undefined;
  readonly #stats: FaultStats;

  constructor(route: string, spec: FaultSpec, stats: FaultStats) {
    this.spec = spec;
    this.#delay = spec.delay?.when && compileCondition(spec.delay.when, route, "delay");
    this.#abort = spec.abort?.when && compileCondition(spec.abort.when, route, "abort");
    this.#stats = stats;
  }

  /** Explains for each fault whether it can apply to the request. */
  why(request: Omit<FaultContext, "randomFraction">): string[] {
    const { delay, abort } = this.spec;
    const lines: string[] = [];
    if (abort !== undefined) lines.push(`abort with ${abort.status}: ${describe(abort, this.#abort, request)}`);
    if (delay !== undefined) lines.push(`delay of ${delay.ms} ms: ${describe(delay, this.#delay, request)}`);
    return lines;
  }

  /** The injected delay in milliseconds; 0: none. Counts it. */
  delayOf(request: FaultContext): number {
    if (this.spec.delay === undefined || !applies(this.spec.delay, this.#delay, request)) return 0;
    this.#stats.injected.by.delay.value++;
    return this.spec.delay.ms;
  }

  /** The status of an injected abort; undefined to forward the request. Counts it. */
  abortOf(request: FaultContext): number | undefined {
    if (this.spec.abort === undefined || !applies(this.spec.abort, this.#abort, request)) return undefined;
    this.#stats.injected.by.abort.value++;
    return this.spec.abort.status;
  }
}

function applies(
  { percent }: FaultTarget,
  check: Check | undefined,
  { facts, nowMs, unit, randomFraction }: FaultContext,
): boolean {
  return (check === undefined || check.holds(facts, nowMs, unit)) && randomFraction() * 100 < percent;
}

function describe(
  { percent }: FaultTarget,
  check: Check | undefined,
  { facts, nowMs, unit }: Omit<FaultContext, "randomFraction">,
): string {
  if (check === undefined) return `${percent} % of all requests`;
  const why = check.why(facts, nowMs, unit);
  return check.holds(facts, nowMs, unit) ? `${percent} % of requests like this (${why})` : `not this request (${why})`;
}
