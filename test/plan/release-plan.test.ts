/** @module-tag slow */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LoadedConfig } from "../../src/config/load.ts";
import { type CohortPlan, planReleases, type ReleasePlan } from "../../src/plan/release-plan.ts";
import type { Movement } from "../../src/plan/simulate.ts";
import { load, shopYaml } from "./configs.ts";

const units = 20_000;

function planShop(before: string, after: string, count = units): ReleasePlan {
  return planFirst(load(shopYaml(before)), load(shopYaml(after)), count);
}

function planFirst(before: LoadedConfig, after: LoadedConfig, count = units): ReleasePlan {
  const [plan] = planReleases(before.compiled, after.compiled, count);
  if (plan === undefined) throw new Error("no release was planned");
  return plan;
}

/** The cohort of a rule; without one, of the split. */
function cohort(plan: ReleasePlan, rule: string | null = null): CohortPlan {
  const found = plan.cohorts.find((one) => one.rule === rule);
  if (found === undefined) throw new Error(`no cohort of ${rule}`);
  return found;
}

/** Shares by `from>to`, in per cent. */
type Percents = Readonly<Record<string, number>>;

/** Exactly these moves, each within 1.5 per cent: over four standard deviations of a share of 20,000 units. */
function expectMoves({ moves }: Movement, wanted: Percents): void {
  const found = new Map(moves.map(({ from, to, share }) => [`${from}>${to}`, share * 100]));
  expect([...found.keys()].sort()).toEqual(Object.keys(wanted).sort());
  for (const [move, share] of Object.entries(wanted))
    expect(Math.abs((found.get(move) ?? 0) - share)).toBeLessThan(1.5);
}

const none: Percents = {};
const tenth = "split: { stable: 90, canary: 10 }";
const half = "split: { stable: 50, canary: 50 }";
const sticky = (body: string, split: string): string => `sticky: { ${body} }, ${split}`;
const hold = (split: string): string => sticky("whenWeightsChange: hold", split);

describe("a ramp from 10 to 50", () => {
  const { before, after, byDraw, pinned } = cohort(planShop(tenth, half, 100_000));

  it("moves 40 % from stable to canary and none back", () => {
    expect(byDraw.moves).toEqual([{ from: "stable", to: "canary", share: expect.closeTo(0.4, 2) }]);
    expect(byDraw.moved).toBe(byDraw.moves[0]?.share);
    expect(pinned).toEqual(byDraw);
  });

  it("gives the shares before and after", () => {
    expect(before).toEqual({ stable: expect.closeTo(0.9, 2), canary: expect.closeTo(0.1, 2) });
    expect(after).toEqual({ stable: expect.closeTo(0.5, 2), canary: expect.closeTo(0.5, 2) });
  });
});

it("any ramp of two versions moves units in one direction only, by the change of the weights", () => {
  const weight = fc.integer({ min: 1, max: 99 });
  fc.assert(
    fc.property(weight, weight, (from, to) => {
      const split = (canary: number): string => `split: { stable: ${100 - canary}, canary: ${canary} }`;
      const { moves } = cohort(planShop(split(from), split(to), 4_000)).byDraw;
      const grown = to > from ? { from: "stable", to: "canary" } : { from: "canary", to: "stable" };
      for (const move of moves) {
        expect(move).toMatchObject(grown);
        // Four standard deviations of a share of 4,000 units are at most 3.2 per cent.
        expect(Math.abs(move.share - Math.abs(to - from) / 100)).toBeLessThan(0.032);
      }
      expect(moves.length).toBeLessThanOrEqual(from === to ? 0 : 1);
    }),
    { numRuns: 30 },
  );
});

describe("what moves users whom no rule matches", () => {
  it.each<{ sentence: string; before: string; after: string; byDraw: Percents; pinned: Percents }>([
    { sentence: "nothing, if nothing changes", before: tenth, after: tenth, byDraw: none, pinned: none },
    {
      sentence: "nothing, if all weights change by the same factor",
      before: tenth,
      after: "split: { stable: 9, canary: 1 }",
      byDraw: none,
      pinned: none,
    },
    {
      sentence: "a rollback under follow: all canary users back to stable",
      before: tenth,
      after: "split: { stable: 100, canary: 0 }",
      byDraw: { "canary>stable": 10 },
      pinned: { "canary>stable": 10 },
    },
    {
      sentence: "a ramp under hold: no users with a pin",
      before: hold(tenth),
      after: hold(half),
      byDraw: { "stable>canary": 40 },
      pinned: none,
    },
    {
      sentence: "a weight of zero under hold and evict: the users of that version",
      before: hold(tenth),
      after: hold("split: { stable: 100, canary: 0 }"),
      byDraw: { "canary>stable": 10 },
      pinned: { "canary>stable": 10 },
    },
    {
      sentence: "a weight of zero under hold and drain: no users with a pin",
      before: sticky("whenWeightsChange: hold, onWeightZero: drain", tenth),
      after: sticky("whenWeightsChange: hold, onWeightZero: drain", "split: { stable: 100, canary: 0 }"),
      byDraw: { "canary>stable": 10 },
      pinned: none,
    },
    {
      sentence: "a ramp under hold with a raised epoch: as under follow",
      before: hold(tenth),
      after: sticky("whenWeightsChange: hold, epoch: 2", half),
      byDraw: { "stable>canary": 40 },
      pinned: { "stable>canary": 40 },
    },
    {
      sentence: "another salt: 10 % of 90 % in each direction",
      before: tenth,
      after: sticky("salt: summer", tenth),
      byDraw: { "stable>canary": 9, "canary>stable": 9 },
      pinned: { "stable>canary": 9, "canary>stable": 9 },
    },
    {
      sentence: "another cookie name: users that only the pin identifies",
      before: tenth,
      after: sticky("cookie: { name: other }", tenth),
      byDraw: none,
      pinned: { "stable>canary": 9, "canary>stable": 9 },
    },
    {
      sentence: "another cookie name: no users identified by an attribute",
      before: sticky("by: userId", tenth),
      after: sticky("by: userId, cookie: { name: other }", tenth),
      byDraw: none,
      pinned: none,
    },
    {
      sentence: "another cookie name: no users identified by the client address",
      before: sticky("by: clientAddress", tenth),
      after: sticky("by: clientAddress, cookie: { name: other }", tenth),
      byDraw: none,
      pinned: none,
    },
    {
      sentence: "another attribute as the unit: all users are drawn again",
      before: sticky("by: userId", tenth),
      after: sticky("by: account", tenth),
      byDraw: { "stable>canary": 9, "canary>stable": 9 },
      pinned: { "stable>canary": 9, "canary>stable": 9 },
    },
    {
      sentence: "a third version: users move only to it",
      before: half,
      after: "split: { stable: 50, canary: 50, v3: 100 }",
      byDraw: { "stable>v3": 25, "canary>v3": 25 },
      pinned: { "stable>v3": 25, "canary>v3": 25 },
    },
    {
      sentence: "a larger percentage of a rule: the additional users",
      before: `rules: [{ name: some, when: { percent: 10 }, use: v3 }], split: { stable: 1 }`,
      after: `rules: [{ name: some, when: { percent: 30 }, use: v3 }], split: { stable: 1 }`,
      byDraw: { "stable>v3": 20 },
      pinned: { "stable>v3": 20 },
    },
    {
      sentence: "a new split: users move from the default version",
      before: "rules: []",
      after: half,
      byDraw: { "stable>canary": 50 },
      pinned: { "stable>canary": 50 },
    },
  ])("$sentence", ({ before, after, byDraw, pinned }) => {
    const found = cohort(planShop(before, after));
    expectMoves(found.byDraw, byDraw);
    expectMoves(found.pinned, pinned);
  });

  it("another default version without a split: all users", () => {
    const plan = planFirst(load(shopYaml("rules: []", "stable")), load(shopYaml("rules: []", "v3")), 100);
    expectMoves(cohort(plan).byDraw, { "stable>v3": 100 });
  });
});

describe("what moves users who match a rule", () => {
  const east = (use: string, when = "region: east"): string =>
    `rules: [{ name: east, when: { ${when} }, use: ${use} }]`;
  const weighted = (canary: number): string => east(`{ stable: ${100 - canary}, canary: ${canary} }`);

  it.each<{ sentence: string; before: string; after: string; byDraw: Percents; pinned?: Percents }>([
    {
      sentence: "its weights, independently of the split",
      before: `${weighted(20)}, ${half}`,
      after: `${weighted(70)}, ${half}`,
      byDraw: { "stable>canary": 50 },
    },
    {
      sentence: "its weights under hold: no users with a pin",
      before: `${weighted(20)}, ${hold(half)}`,
      after: `${weighted(70)}, ${hold(half)}`,
      byDraw: { "stable>canary": 50 },
      pinned: none,
    },
    {
      sentence: "another version: all users",
      before: `${east("canary")}, ${half}`,
      after: `${east("v3")}, ${half}`,
      byDraw: { "canary>v3": 100 },
    },
    {
      sentence: "an added rule: users move from the split",
      before: half,
      after: `${east("v3")}, ${half}`,
      byDraw: { "canary>v3": 50, "stable>v3": 50 },
    },
    {
      sentence: "a removed rule: users move to the split",
      before: `${east("v3")}, ${half}`,
      after: half,
      byDraw: { "v3>canary": 50, "v3>stable": 50 },
    },
    {
      sentence: "the percentage besides its tests",
      before: `${east("v3", "region: east, percent: 10")}, split: { stable: 1 }`,
      after: `${east("v3", "region: east, percent: 40")}, split: { stable: 1 }`,
      byDraw: { "stable>v3": 30 },
    },
  ])("$sentence", ({ before, after, byDraw, pinned = byDraw }) => {
    const plan = planShop(before, after);
    expectMoves(cohort(plan, "east").byDraw, byDraw);
    expectMoves(cohort(plan, "east").pinned, pinned);
    expectMoves(cohort(plan).byDraw, none);
  });

  it("is omitted if the rule decides as before", () => {
    expect(planShop(`${weighted(20)}, ${tenth}`, `${weighted(20)}, ${tenth}`).cohorts).toHaveLength(1);
  });

  it("is simulated once for a thousand rules with the same version", { tags: ["slow"] }, () => {
    const rules = (use: string): string =>
      `rules: [${Array.from({ length: 1_000 }, (_, at) => `{ name: r${at}, when: { region: r${at} }, use: ${use} }`)}], ${half}`;
    const plan = planShop(rules("canary"), rules("v3"), 2_000);
    expect(plan.cohorts).toHaveLength(1_001);
    expect(new Set(plan.cohorts.map(({ byDraw }) => byDraw)).size).toBe(2);
    expectMoves(cohort(plan, "r999").byDraw, { "canary>v3": 100 });
  });
});

describe("an added or removed release", () => {
  const withShop = load(shopYaml(tenth));
  const without = load(
    shopYaml(tenth)
      .replace(/releases:.*\n/, "")
      .replace(", release: shop }", " }"),
  );

  it("moves its users from or to the default version", () => {
    const added = planFirst(without, withShop);
    expect(added).toMatchObject({ release: "shop", change: "added" });
    expectMoves(cohort(added).byDraw, { "stable>canary": 10 });
    const removed = planFirst(withShop, without);
    expect(removed).toMatchObject({ release: "shop", change: "removed" });
    expectMoves(cohort(removed).byDraw, { "canary>stable": 10 });
  });

  it("moves no users if its service is added or removed as well", () => {
    const blog = load(shopYaml(tenth).replaceAll("shop", "blog"));
    expect(
      planReleases(blog.compiled, withShop.compiled, units).map(({ release, change, cohorts }) => [
        release,
        change,
        cohorts,
      ]),
    ).toEqual([
      ["shop", "added", []],
      ["blog", "removed", []],
    ]);
  });
});

it("services with different defaults are planned separately if the default matters", () => {
  const yaml = (stable: string): string =>
    shopYaml("rules: []", stable)
      .replace(
        "services: {",
        'services: { blog: { versions: { v3: { endpoints: ["http://c:1"] }, v4: { endpoints: ["http://d:1"] } } },',
      )
      .replace("routes: [", "routes: [{ name: blog, match: { hosts: [blog] }, service: blog, release: shop },");
  const { cohorts } = planFirst(load(yaml("stable")), load(yaml("canary")), 100);
  expect(cohorts.map(({ services, byDraw }) => [services, byDraw.moves])).toEqual([
    [["blog"], []],
    [["shop"], [{ from: "stable", to: "canary", share: 1 }]],
  ]);
});

describe("notes", () => {
  it.each<{ sentence: string; before: string; after: string; notes: unknown[] }>([
    { sentence: "none, if nothing changes", before: hold(tenth), after: hold(tenth), notes: [] },
    {
      sentence: "another split",
      before: tenth,
      after: half,
      notes: ["the split changes from { stable: 90, canary: 10 } to { stable: 50, canary: 50 }"],
    },
    {
      sentence: "a raised epoch",
      before: tenth,
      after: sticky("epoch: 3", tenth),
      notes: ["the epoch rises from 1 to 3: existing pins lose their version"],
    },
    {
      sentence: "a lowered epoch",
      before: sticky("epoch: 3", tenth),
      after: tenth,
      notes: ["the epoch falls from 3 to 1: pins with the higher epoch stay valid, so this invalidates none"],
    },
    {
      sentence: "another salt",
      before: tenth,
      after: sticky("salt: x", tenth),
      notes: ["the salt changes: all users are drawn again"],
    },
    {
      sentence: "another cookie and lifetime",
      before: tenth,
      after: sticky("cookie: { name: pin, maxAge: 7d, path: /shop, sameSite: strict }", tenth),
      notes: [
        "the cookie's name changes from perch-shop to pin: all existing pins are lost",
        expect.stringContaining("path, domain or partition changes"),
        "the cookie's maxAge changes from 30d to 7d",
        expect.stringContaining("secure or sameSite changes"),
      ],
    },
    {
      sentence: "another unit",
      before: sticky("by: userId", tenth),
      after: sticky("by: clientAddress", tenth),
      notes: ["the unit changes from attribute userId to the client's address: all users are drawn again"],
    },
    {
      sentence: "from hold to follow",
      before: hold(tenth),
      after: tenth,
      notes: [expect.stringContaining("hold changes to follow")],
    },
    {
      sentence: "rules that are added, removed, have another condition or version, or change places",
      before: `rules: [{ name: a, when: { region: a }, use: v3 }, { name: b, when: { region: b }, use: v3 }, { name: c, when: { region: c }, use: v3 }]`,
      after: `rules: [{ name: b, when: { region: x }, use: v3 }, { name: a, when: { region: a }, use: { v3: 1, stable: 2 } }, { name: d, when: { region: c }, use: v3 }]`,
      notes: [
        "rule d is added",
        "rule c is removed: users pinned by it are drawn again",
        "rule b has another condition: the set of matching users may change",
        "rule a changes from v3 to { v3: 1, stable: 2 }",
        "the order of rules changes: the first match wins",
      ],
    },
    {
      sentence: "an override with a smaller allowFrom",
      before: `override: { header: x-v, allowFrom: [0.0.0.0/0] }, ${tenth}`,
      after: `override: { header: x-w, cookie: v, allowFrom: [10.0.0.0/8] }, ${tenth}`,
      notes: [
        "the override header changes from x-v to x-w",
        "the override cookie changes from none to v",
        "the override's allowFrom changes from 0.0.0.0/0 to 10.0.0.0/8",
      ],
    },
    {
      sentence: "assets that follow their document",
      before: tenth,
      after: sticky("assets: follow-document", tenth),
      notes: ["requests for a page's assets follow the version of the page"],
    },
    {
      sentence: "propagation turned on",
      before: tenth,
      after: `propagate: {}, ${tenth}`,
      notes: ["upstreams now receive the assigned version"],
    },
    {
      sentence: "other callers, and another header",
      before: `propagate: {}, ${tenth}`,
      after: `propagate: { header: x-lane, acceptFrom: [10.0.0.0/8] }, ${tenth}`,
      notes: [
        "the form in which upstreams receive the assigned version changes",
        "propagate.acceptFrom changes from none to 10.0.0.0/8",
      ],
    },
    {
      sentence: "propagation turned off",
      before: `propagate: { acceptFrom: [10.0.0.0/8] }, ${tenth}`,
      after: tenth,
      notes: ["upstreams no longer receive the assigned version, and versions sent by callers are ignored"],
    },
  ])("$sentence", ({ before, after, notes }) => {
    expect(planShop(before, after, 10).notes).toEqual(notes);
  });

  it("secrets: a rotation that keeps the old secret loses no pins and tokens, any other loses all", () => {
    const yaml = shopYaml(
      `override: { header: x-v, secretFile: tokens }, ${sticky("cookie: { secretFile: pins }", tenth)}`,
    );
    const [old, next] = ["o".repeat(32), "n".repeat(32)];
    const before = load(yaml, { pins: old, tokens: old });
    const plan = (secret: string) => planFirst(before, load(yaml, { pins: secret, tokens: secret }));
    expect(plan(`${next}\n${old}`)).toMatchObject({ change: "unchanged", notes: [] });
    const lost = plan(next);
    expect(lost.notes).toEqual([
      expect.stringContaining("all would be rejected: keep the old secret"),
      expect.stringContaining("override tokens"),
    ]);
    expectMoves(cohort(lost).pinned, { "stable>canary": 9, "canary>stable": 9 });
  });
});
