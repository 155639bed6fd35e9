import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Pin } from "../../../src/decide/pin-content.ts";
import { Release } from "../../../src/decide/release.ts";
import type { CheckSpec, RolloutSpec, StepSpec } from "../../../src/decide/rollout-spec.ts";
import type { Move, Seen } from "../../../src/rollout/controller-parts.ts";
import { planner } from "../../../src/rollout/plan/planner.ts";
import type { RolloutState } from "../../../src/rollout/rollout-state.ts";
import { type Verb, verbs } from "../../../src/rollout/rollouts-api.ts";
import {
  attribute,
  equals,
  type FactsOf,
  pinOf,
  requestOf,
  shop,
  sticky as shopSticky,
} from "../../decide/shop-release.ts";
import { gate, margin, pauseStep, plan, reload, result, seen, step } from "./plans.ts";

const rings = ["east", "west"] as const;

const anyStep: fc.Arbitrary<StepSpec> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(pauseStep) },
  {
    weight: 5,
    arbitrary: fc
      .record({
        weight: fc.integer({ min: 0, max: 100 }),
        holdMs: fc.constantFrom(0, 1, 5_000, 30_000, 120_000),
        users: fc.constantFrom(0, 0, 0, 5),
        ring: fc.option(fc.constantFrom(...rings), { nil: undefined }),
      })
      .map(({ weight, ring, ...parts }) => step(weight, ring === undefined ? parts : { ...parts, ring })),
  },
);
const anySteps = fc.array(anyStep, { minLength: 1, maxLength: 6 });
const anyChecks: fc.Arbitrary<CheckSpec[]> = fc.subarray([margin, gate(1), gate(2), gate()]);

const anyPlan = fc
  .record({
    start: fc.constantFrom("auto", "manual"),
    command: fc.constantFrom("run", "run", "run", "pause", "rollback"),
    steps: anySteps,
    afterLastStep: fc.constantFrom("complete", "pause"),
    checks: anyChecks,
    onFail: fc.constantFrom("rollback", "pause"),
  } as const)
  .map((parts) => plan(parts));

/** An edit of the file while it runs. */
const anyEdit: fc.Arbitrary<(spec: RolloutSpec, other: RolloutSpec) => RolloutSpec> = fc.oneof(
  fc.nat(6).map((at) => (spec: RolloutSpec, other: RolloutSpec) => ({
    ...spec,
    steps: [...spec.steps.slice(0, at), ...other.steps],
  })),
  fc
    .nat(5)
    .map((at) => (spec: RolloutSpec) => ({ ...spec, steps: spec.steps.filter((_, i) => i !== at) }) as RolloutSpec),
  fc.tuple(fc.nat(5), fc.integer({ min: 0, max: 60_000 })).map(([at, holdMs]) => (spec: RolloutSpec) => ({
    ...spec,
    steps: spec.steps.map((each, i) => (i === at && each.kind === "weight" ? { ...each, holdMs } : each)),
  })),
  fc
    .constantFrom<RolloutSpec["command"]>("run", "pause", "rollback")
    .map((command) => (spec: RolloutSpec) => ({ ...spec, command })),
  fc.constant((spec: RolloutSpec, { checks, afterLastStep, start, onFail }: RolloutSpec) => ({
    ...spec,
    ...{ checks, afterLastStep, start, onFail },
  })),
);

type Action =
  | { readonly kind: "look"; readonly ms: number; readonly seen: Seen }
  | { readonly kind: "clock"; readonly ms: number }
  | { readonly kind: "verb"; readonly verb: Verb }
  | { readonly kind: "fail"; readonly atMs: number }
  | { readonly kind: "reload"; readonly edit: (spec: RolloutSpec) => RolloutSpec }
  | { readonly kind: "out and back" }
  | { readonly kind: "restart" };

const anySeen = fc
  .record({ stepUsers: fc.constantFrom(0, 4, 5, 90), passes: fc.boolean(), opens: fc.boolean() })
  .map(({ stepUsers, passes, opens }) =>
    seen({
      stepUsers,
      checks: passes ? [result({ name: margin.name, verdict: "pass" })] : [],
      mayBegin: () => opens,
    }),
  );

/** Mostly looks, a moment or half a minute apart, as an ordinary life is. */
const anyAction: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant("look" as const),
      ms: fc.oneof(fc.nat(1_500), fc.nat(70_000)),
      seen: anySeen,
    }),
  },
  {
    // A clock that is set forward by less than a minute can not be told from a late look.
    weight: 1,
    arbitrary: fc
      .oneof(fc.integer({ min: 60_001, max: 9_000_000 }), fc.integer({ min: -9_000_000, max: 0 }))
      .map((ms) => ({ kind: "clock" as const, ms })),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom<Verb>(...verbs, "start", "pause", "resume", "resume", "step")
      .map((verb) => ({ kind: "verb" as const, verb })),
  },
  { weight: 1, arbitrary: fc.nat(2).map((atMs) => ({ kind: "fail" as const, atMs })) },
  {
    weight: 3,
    arbitrary: fc.tuple(anyEdit, anyPlan).map(([edit, other]) => ({
      kind: "reload" as const,
      edit: (spec: RolloutSpec) => edit(spec, other),
    })),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "out and back" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
);

const anyLife = fc.array(anyAction, { minLength: 1, maxLength: 80 });

interface Change {
  readonly action: Action;
  readonly before: RolloutState;
  readonly after: RolloutState;
  /** Undefined for a restart. */
  readonly move: Move | undefined;
  readonly spec: RolloutSpec;
  /** What really passed in the step before, but for pauses. */
  readonly heldMs: number;
}

/** Lives through the actions, and shows each change. */
function live(first: RolloutSpec, life: readonly Action[], check: (change: Change) => void): RolloutState | undefined {
  let spec = first;
  let nowMs = 1_000_000;
  let heldMs = 0;
  const begun = reload(spec, [], nowMs);
  if (begun.kind !== "moved") throw new Error("a first configuration is always fine");
  let { state } = begun;
  const show = (action: Action, move: Move | undefined, after: RolloutState) => {
    check({ action, before: state, after, move, spec, heldMs });
    if (after.track.length !== state.track.length) heldMs = 0;
    state = after;
  };
  const takeOver = (action: Action, next: RolloutSpec | undefined) => {
    const answer = reload(next, [state], nowMs);
    if (answer.kind !== "moved") return;
    if (next !== undefined) spec = next;
    show(action, answer, answer.state);
  };
  for (const action of life) {
    if (action.kind === "look") {
      nowMs += action.ms;
      if (state.phase === "progressing" || state.phase === "holding") heldMs += action.ms;
      const move = planner.advance(spec, state, action.seen, nowMs);
      show(action, move, move.state);
    } else if (action.kind === "clock") nowMs += action.ms;
    else if (action.kind === "verb") {
      const answer = planner.apply(spec, state, action.verb, { by: "token", why: "a try" }, nowMs);
      if ("state" in answer) show(action, answer, answer.state);
    } else if (action.kind === "fail") {
      const move = planner.fail(spec, state, result({ atMs: action.atMs }), nowMs);
      show(action, move, move.state);
    } else if (action.kind === "reload") takeOver(action, action.edit(spec));
    else if (action.kind === "restart") show(action, undefined, JSON.parse(JSON.stringify(state)) as RolloutState);
    else {
      takeOver(action, undefined);
      takeOver(action, spec);
    }
  }
  return state;
}

function property(name: string, seed: number, check: (change: Change) => void, plans = anyPlan, lives = anyLife): void {
  test(name, () => {
    fc.assert(
      fc.property(plans, lives, (spec, life) => {
        fc.pre(life.every((action) => action.kind !== "reload" || action.edit(spec).steps.length > 0));
        live(spec, life, check);
      }),
      { seed, numRuns: 300 },
    );
  });
}

/** What everyone, and whoever meets a ring, has of the candidate; undefined if the split holds. */
function shares(state: RolloutState): readonly number[] | undefined {
  const traffic = planner.trafficOf(state);
  if (traffic === undefined) return undefined;
  return [undefined, ...rings].map((ring) =>
    Math.max(traffic.weight, ...traffic.rings.filter(({ key }) => key === ring).map(({ weight }) => weight)),
  );
}

const sticky = { ...shopSticky, by: undefined };

/** The plan as a configuration has it: a ring is a region. */
function withRegions(spec: RolloutSpec): RolloutSpec {
  const steps = spec.steps.map((each) =>
    each.kind === "pause" || each.ring === undefined
      ? each
      : { ...each, ring: { key: each.ring.key, when: attribute("region", equals(each.ring.key)) } },
  );
  return { ...spec, steps };
}

/** Plans that get somewhere in a few looks. */
const anyRamp = fc
  .array(
    fc.record({
      weight: fc.integer({ min: 1, max: 99 }),
      holdMs: fc.constantFrom(0, 5_000),
      ring: fc.option(fc.constantFrom(...rings), { nil: undefined }),
    }),
    { minLength: 2, maxLength: 8 },
  )
  .map((steps) =>
    plan({
      steps: steps.map(({ weight, ring, ...parts }) => step(weight, ring === undefined ? parts : { ...parts, ring })),
    }),
  );

const anyQuickLife = fc.array(
  fc.oneof<fc.WeightedArbitrary<Action>[]>(
    { weight: 8, arbitrary: fc.constant({ kind: "look", ms: 6_000, seen: seen() }) },
    {
      weight: 2,
      arbitrary: fc.constantFrom<Verb>("pause", "resume", "step").map((verb) => ({ kind: "verb", verb })),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "restart" }) },
    { weight: 1, arbitrary: anyRamp.map(({ steps }) => ({ kind: "reload", edit: (spec) => ({ ...spec, steps }) })) },
  ),
  { minLength: 8, maxLength: 30 },
);

/** A user of a region or of none, who tells it in every other request and always brings the pin. */
class PinnedUser {
  readonly #facts: FactsOf;
  #pin: Pin | undefined;
  #visits = 0;

  constructor(at: number) {
    const region = [...rings, undefined][at % 3];
    this.#facts = region === undefined ? {} : { attributes: { region } };
    this.#pin = pinOf({ unit: { source: "random", hi: Math.imul(at, 0x9e3779b1), lo: ~at } });
  }

  visit(release: Release): string {
    const facts = this.#visits++ % 2 === 0 ? this.#facts : {};
    const { version, pin } = release.decide(requestOf({ ...facts, pin: this.#pin }));
    this.#pin = pin ?? this.#pin;
    return version;
  }
}

describe("whatever happens to a rollout", () => {
  test("no user who comes again and again goes from the candidate to the baseline but by a rollback", () => {
    fc.assert(
      fc.property(anyRamp, anyQuickLife, (spec, life) => {
        const users = Array.from({ length: 24 }, (_, at) => new PinnedUser(at));
        let had: readonly string[] = [];
        live(spec, life, ({ after, spec: now }) => {
          const traffic = planner.trafficOf(after);
          const release = new Release({ ...shop, sticky, split: { stable: 100 }, rollout: withRegions(now) });
          release.direct({ split: undefined, rollout: traffic });
          const has = users.map((user) => user.visit(release));
          const isOut = traffic === undefined || traffic.candidateIs === "withdrawn";
          const back = isOut ? [] : had.filter((version, at) => version === "canary" && has[at] === "stable");
          expect(back).toEqual([]);
          had = isOut ? [] : has;
        });
      }),
      { seed: 9, numRuns: 100 },
    );
  });

  test("nobody goes back to the baseline but by a rollback, or while it is out of the configuration", () => {
    fc.assert(
      fc.property(anyPlan, anyLife, (spec, life) => {
        let had: readonly number[] = [0, 0, 0];
        live(spec, life, ({ after }) => {
          const has = shares(after);
          if (has === undefined || after.phase === "rolled-back") return;
          has.forEach((share, of) => {
            expect(share).toBeGreaterThanOrEqual(had[of] ?? 0);
          });
          had = has;
        });
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  property("time ends no step before its hold is over, pauses and jumps of the clock not counted", 2, (change) => {
    const { action, before, after, spec, heldMs } = change;
    if (action.kind !== "look" || before.step < 0 || before.track.at(-1)?.endedAtMs !== undefined) return;
    const left = after.step !== before.step || after.phase === "completed" || after.phase === "paused";
    const held = spec.steps[before.step];
    if (left && before.phase !== "paused" && before.phase !== "completed" && held?.kind === "weight")
      expect(heldMs).toBeGreaterThanOrEqual(held.holdMs);
  });

  property(
    "a look makes at most one step, and none while it is paused or over",
    3,
    ({ action, before, after, move }) => {
      if (action.kind !== "look") return;
      expect(after.step - before.step).toBeLessThanOrEqual(1);
      const rests = !["pending", "progressing", "holding"].includes(before.phase);
      if (rests) expect(move).toEqual({ state: before, events: [] });
    },
  );

  property("a gate that is closed lets no step begin by itself", 4, ({ action, before, after, spec }) => {
    if (action.kind !== "look" || after.step === before.step || action.seen.mayBegin(after.step + 1)) return;
    throw new Error(`step ${after.step + 1} of ${spec.steps.length} began`);
  });

  property(
    "every change of phase or step is an event, and events are of a change",
    5,
    ({ action, before, after, move }) => {
      if (move === undefined) return;
      const isChange = before.phase !== after.phase || before.step !== after.step;
      if (isChange) expect(move.events).not.toEqual([]);
      if (move.events.length > 0) expect(after).not.toBe(before);
      if (before.phase !== after.phase && action.kind !== "verb") expect(after.why).not.toBe("");
    },
  );

  property("what was rolled back stays so", 6, ({ before, after }) => {
    if (before.phase !== "rolled-back") return;
    expect(after.phase).toBe("rolled-back");
    expect(planner.trafficOf(after)?.candidateIs).toBe("withdrawn");
  });

  property(
    "a verb, a failure or a configuration that comes again changes nothing",
    7,
    ({ action, after, move, spec }) => {
      const nowMs = after.countedAtMs;
      const again = reload(spec, [after], nowMs);
      if (action.kind === "reload") expect(again).toEqual({ kind: "moved", state: after, events: [] });
      if (action.kind === "fail" && move !== undefined)
        expect(planner.fail(spec, after, result({ atMs: action.atMs }), nowMs).state).toBe(after);
      // A step more is a step more; and who resumes at a pause and meets the next may resume again.
      if (action.kind !== "verb" || action.verb === "step" || (action.verb === "resume" && after.phase === "paused"))
        return;
      const twice = planner.apply(spec, after, action.verb, { by: "token", why: "a second try" }, nowMs);
      expect("state" in twice && twice.state).toBe(after);
    },
  );

  property("it can always be described", 8, ({ after, spec }) => {
    const sentence = planner.sentence(spec, after, [], after.countedAtMs);
    expect(sentence).toMatch(/^[A-Z].*\.$/);
    expect(sentence).not.toMatch(/undefined|NaN|-\d|\.\./);
    const titles = planner.steps(spec, after).map(({ state }) => state);
    expect(titles).toHaveLength(spec.steps.length);
  });
});

describe("without any traffic", () => {
  const quiet = anyLife.map((life) =>
    life.map((action) => (action.kind === "look" ? { ...action, seen: seen({ mayBegin: () => true }) } : action)),
  );

  property(
    "time ends no step that asks for data",
    9,
    ({ action, before, after, spec }) => {
      if (action.kind !== "look" || before.step < 0 || before.track.at(-1)?.endedAtMs !== undefined) return;
      const current = spec.steps[before.step];
      const asks = current?.kind === "weight" && (current.atLeastUsers > 0 || spec.checks.includes(margin));
      if (!asks) return;
      expect(after.step).toBe(before.step);
      if (before.phase !== "completed") expect(after.phase).not.toBe("completed");
    },
    anyPlan,
    quiet,
  );
});

test("a plan that only takes time always comes to its end", () => {
  const steps = fc.array(
    fc.integer({ min: 1, max: 100 }).chain((weight) => fc.nat(90_000).map((holdMs) => step(weight, { holdMs }))),
    { minLength: 1, maxLength: 6 },
  );
  const looks = fc.array(fc.integer({ min: 900, max: 60_000 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(steps, looks, (planned, gaps) => {
      const spec = plan({ steps: planned });
      const all = planned.reduce((sum, each) => sum + (each.kind === "weight" ? each.holdMs : 0), 0);
      const life: Action[] = [];
      let passedMs = 0;
      // Each step ends at the first look after its hold: by then a look later.
      for (let at = 0; passedMs < all + (planned.length + 1) * 60_000; at++) {
        const ms = gaps[at % gaps.length] ?? 1_000;
        passedMs += ms;
        life.push({ kind: "look", ms, seen: seen() });
      }
      expect(live(spec, life, () => {})?.phase).toBe("completed");
    }),
    { seed: 10, numRuns: 100 },
  );
});
