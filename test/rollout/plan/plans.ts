import type { CheckSpec, RolloutSpec, StepSpec } from "../../../src/decide/rollout-spec.ts";
import type { Move, Reconciled, Refusal, Seen } from "../../../src/rollout/controller-parts.ts";
import { planner } from "../../../src/rollout/plan/planner.ts";
import type { CheckResult, RolloutState } from "../../../src/rollout/rollout-state.ts";
import type { Verb } from "../../../src/rollout/rollouts-api.ts";

export const minute = 60_000;

type Weighted = Extract<StepSpec, { kind: "weight" }>;

export const pauseStep: StepSpec = { kind: "pause" };

export function step(weight: number, parts: { holdMs?: number; users?: number; ring?: string } = {}): Weighted {
  const { holdMs = minute, users = 0, ring } = parts;
  // The plan knows a ring by its key alone.
  const when = { kind: "all", of: [] } as unknown as NonNullable<Weighted["ring"]>["when"];
  const of = ring === undefined ? undefined : { key: ring, when };
  return { kind: "weight", weight, holdMs, atLeastUsers: users, ring: of };
}

export const margin: CheckSpec = { kind: "margin", name: "no-worse", metric: "errors", over: undefined, share: 0.01 };

export function gate(beforeStep?: number): CheckSpec {
  return { kind: "webhook", name: "smoke", url: "http://ci.test/smoke", beforeStep, everyMs: 10_000 };
}

/** 10 %, 50 %, 100 % for a minute each. */
export function plan(parts: Partial<RolloutSpec> = {}): RolloutSpec {
  return {
    id: "2.4.0",
    baseline: "stable",
    candidate: "canary",
    start: "auto",
    command: "run",
    steps: [step(10), step(50), step(100)],
    afterLastStep: "complete",
    checks: [],
    failures: new Set([500]),
    falseAlarm: 0.01,
    onFail: "rollback",
    drift: "warn",
    caps: { users: undefined, failures: undefined, requestsPerSecond: undefined },
    notify: [],
    candidateEndpoints: ["shop http://10.0.0.2:80", "shop http://10.0.0.3:80"],
    ...parts,
  };
}

export function result(parts: Partial<CheckResult> = {}): CheckResult {
  return {
    name: "errors",
    metric: "errors",
    verdict: "fail",
    atMs: 7,
    baseline: null,
    candidate: null,
    evidence: null,
    limit: null,
    interval: null,
    why: "37 of the 50 users who met an error were on canary",
    ...parts,
  };
}

export function seen(parts: Partial<Seen> = {}): Seen {
  return { stepUsers: 0, checks: [], mayBegin: () => true, ...parts };
}

export function reload(spec: RolloutSpec | undefined, known: readonly RolloutState[], nowMs = 0): Reconciled {
  return planner.reconcile({ name: "shop", rollout: spec }, known, nowMs);
}

export function movedBy(answer: Reconciled | Move | Refusal): Move {
  if ("state" in answer) return answer;
  throw new Error(`no move: ${JSON.stringify(answer)}`);
}

export const refusedBy = (answer: Reconciled | Move | Refusal): string | undefined =>
  "message" in answer ? answer.message : undefined;

export const types = ({ events }: Move): readonly string[] => events.map(({ type }) => type);

/** One rollout under a clock that looks every second, as the controller does. */
export class Trial {
  spec: RolloutSpec;
  state: RolloutState;
  nowMs = 0;
  seen: Seen = seen();
  readonly events: string[] = [];

  constructor(spec: RolloutSpec = plan()) {
    this.spec = spec;
    const first = movedBy(reload(spec, []));
    this.state = first.state;
    this.events.push(...types(first));
  }

  take(move: Move): this {
    this.state = move.state;
    this.events.push(...types(move));
    return this;
  }

  wait(ms: number): this {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += 1_000;
      this.take(planner.advance(this.spec, this.state, this.seen, this.nowMs));
    }
    return this;
  }

  do(verb: Verb): this {
    return this.take(movedBy(this.ask(verb)));
  }

  ask(verb: Verb): Move | Refusal {
    return planner.apply(this.spec, this.state, verb, { by: "token 3f9a", why: "a try" }, this.nowMs);
  }

  fail(check: CheckResult = result()): this {
    return this.take(planner.fail(this.spec, this.state, check, this.nowMs));
  }

  reload(parts: Partial<RolloutSpec>): this {
    this.spec = { ...this.spec, ...parts };
    return this.take(movedBy(reload(this.spec, [this.state], this.nowMs)));
  }

  get traffic() {
    return planner.trafficOf(this.state);
  }

  get sentence(): string {
    return planner.sentence(this.spec, this.state, this.seen.checks, this.nowMs);
  }

  /** Phase, step (from 1) and weight. */
  get at(): string {
    const { phase, weight } = this.state;
    return `${phase} ${this.state.step + 1} ${weight}`;
  }
}
