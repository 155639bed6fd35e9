import { type Check, compileCondition } from "../decide/compile-condition.ts";
import type { Facts } from "../decide/facts.ts";
import type { Unit } from "../decide/unit.ts";
import type { FaultStats } from "../observe/stats-registry.ts";
import type { FaultSpec, FaultTarget } from "../route/route-spec.ts";

/** What a request is struck by is drawn and asked of. */
export interface FaultContext {
  readonly facts: Facts;
  readonly unit: Unit;
  readonly nowMs: number;
  /** From 0 to below 1. */
  randomFraction(): number;
}

/** The faults that a route has on purpose. */
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

  /** Says of each fault whether it may strike the request, and why. */
  why(request: Omit<FaultContext, "randomFraction">): string[] {
    const { delay, abort } = this.spec;
    const told: string[] = [];
    if (abort !== undefined) told.push(`abort with ${abort.status}: ${describe(abort, this.#abort, request)}`);
    if (delay !== undefined) told.push(`delay of ${delay.ms} ms: ${describe(delay, this.#delay, request)}`);
    return told;
  }

  /** How long the request is held, in milliseconds. */
  delayOf(request: FaultContext): number {
    if (this.spec.delay === undefined || !strikes(this.spec.delay, this.#delay, request)) return 0;
    this.#stats.injected.by.delay.value++;
    return this.spec.delay.ms;
  }

  /** The status that the request is answered with in place of an upstream's answer; undefined where it is forwarded. */
  abortOf(request: FaultContext): number | undefined {
    if (this.spec.abort === undefined || !strikes(this.spec.abort, this.#abort, request)) return undefined;
    this.#stats.injected.by.abort.value++;
    return this.spec.abort.status;
  }
}

function strikes(
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
