import { type Check, compileCondition } from "../decide/check.ts";
import type { Facts } from "../decide/facts.ts";
import type { Unit } from "../decide/unit.ts";
import type { RouteCells } from "../observe/cells.ts";
import type { FaultSpec, FaultTarget } from "../route/fault-spec.ts";

/** What a request is struck by is drawn and asked of. */
export interface StruckRequest {
  readonly facts: Facts;
  readonly unit: Unit;
  readonly nowMs: number;
  /** From 0 to below 1. */
  randomFraction(): number;
}

/** The faults that a route has on purpose. */
export class Fault {
  readonly spec: FaultSpec;
  readonly #delayed: (request: StruckRequest) => boolean;
  readonly #aborted: (request: StruckRequest) => boolean;
  readonly #cells: RouteCells;

  constructor(route: string, spec: FaultSpec, cells: RouteCells) {
    this.spec = spec;
    this.#delayed = strikes(route, "delay", spec.delay);
    this.#aborted = strikes(route, "abort", spec.abort);
    this.#cells = cells;
  }

  /** How long the request is held, in milliseconds. */
  delayOf(request: StruckRequest): number {
    if (this.spec.delay === undefined || !this.#delayed(request)) return 0;
    this.#cells.faults.delay.value++;
    return this.spec.delay.ms;
  }

  /** The status that the request is answered with in place of an upstream's answer; undefined where it is forwarded. */
  abortOf(request: StruckRequest): number | undefined {
    if (this.spec.abort === undefined || !this.#aborted(request)) return undefined;
    this.#cells.faults.abort.value++;
    return this.spec.abort.status;
  }
}

function strikes(route: string, kind: string, target: FaultTarget | undefined): (request: StruckRequest) => boolean {
  if (target === undefined) return () => false;
  const { percent } = target;
  const check: Check | undefined = target.when && compileCondition(target.when, route, kind);
  return ({ facts, nowMs, unit, randomFraction }) =>
    (check === undefined || check.holds(facts, nowMs, unit)) && randomFraction() * 100 < percent;
}
