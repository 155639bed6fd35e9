import { describe, expect, it } from "vitest";
import { LiveReleases } from "../../src/app/live-releases.ts";
import { activeSnapshot } from "../kit/snapshot.ts";

const yaml = (release: string) => `
attributes:
  userId: { type: string, from: [{ header: x-user }] }
  staff: { type: boolean, from: [{ header: x-staff }] }
services:
  shop:
    default: stable
    versions:
      next: { endpoints: ["http://127.0.0.1:3"] }
      stable: { endpoints: ["http://127.0.0.1:1"] }
      canary: { endpoints: ["http://127.0.0.1:2"] }
releases: { shop: { ${release} } }
routes: [{ name: cart, match: { path: { prefix: /cart } }, service: shop, release: shop }, { name: all, service: shop, release: shop }]
`;

const of = (release: string) => {
  const [shop] = new LiveReleases().of(activeSnapshot(yaml(release)).current);
  if (shop === undefined) throw new Error("there is no release");
  return shop;
};

describe("a release as the dashboard shows it", () => {
  it("has its unit, versions with shares, rules as people read them, and routes", () => {
    const rules = `rules: [
      { name: qa, when: { any: [{ staff: true }, { userId: { prefix: [a, b] } }] }, use: canary },
      { name: some, when: { percent: 5, not: { userId: u-1 } }, use: { stable: 1, next: 3 } }]`;
    expect(of(`split: { stable: 90, canary: 10 }, ${rules}`)).toEqual({
      release: "shop",
      unit: "pin",
      baseline: "stable",
      candidate: "canary",
      versions: expect.arrayContaining([
        { version: "stable", configuredShare: 0.9 },
        { version: "canary", configuredShare: 0.1 },
        { version: "next", configuredShare: 0 },
      ]),
      rules: [
        { rule: "qa", when: 'staff true or userId prefix "a" or "b"', use: "canary" },
        { rule: "some", when: '5 % of units and not (userId "u-1")', use: "{ stable: 1, next: 3 }" },
      ],
      routes: ["cart", "all"],
      services: ["shop"],
      configuredSplit: { stable: 90, canary: 10 },
      isDirected: false,
    });
  });

  it.each([
    {
      sentence: "the version with the next weight",
      release: "split: { stable: 1, next: 2, canary: 1 }",
      candidate: "next",
    },
    { sentence: "the first other one without weights", release: "rules: []", candidate: "next" },
  ])("compares the default with $sentence", ({ release, candidate }) => {
    expect(of(release)).toMatchObject({ baseline: "stable", candidate });
  });

  it("compares what its rollout does", () => {
    const rollout = "rollout: { id: one, baseline: next, candidate: canary, steps: [{ weight: 10, hold: 5m }] }";
    expect(of(`split: { next: 100 }, ${rollout}`)).toMatchObject({ baseline: "next", candidate: "canary" });
  });

  it("names an attribute or the address as the unit", () => {
    expect(of("sticky: { by: userId }").unit).toBe("attribute userId");
    expect(of("sticky: { by: clientAddress }").unit).toBe("client address");
  });

  it("cuts the text of a condition that lists thousands of values", () => {
    const names = Array.from({ length: 2_000 }, (_, at) => `name-${at}`).join(", ");
    const [rule] = of(`rules: [{ name: qa, when: { userId: [${names}] }, use: canary }]`).rules;
    expect(rule?.when.length).toBe(501);
  });
});

describe("the list of releases", () => {
  it("is the same object until something of it changes", () => {
    const active = activeSnapshot(yaml("split: { stable: 90, canary: 10 }"));
    const releases = new LiveReleases();
    const first = releases.of(active.current);
    expect(releases.of(active.current)).toBe(first);
    active.replace(active.current.config, "the same again");
    expect(releases.of(active.current)).toBe(first);
    const split = { split: { stable: 50, canary: 50 }, rollout: undefined };
    const traffic = new Map([["shop", split]]);
    active.direct(traffic);
    const [shop] = releases.of(active.current);
    expect(shop?.versions).toContainEqual({ version: "canary", configuredShare: 0.5 });
    expect(shop).toMatchObject({ configuredSplit: { stable: 90, canary: 10 }, isDirected: false });
  });

  it("tells that a rollout sets the weights", () => {
    const active = activeSnapshot(yaml("split: { stable: 100 }"));
    const rollout = { id: "1", baseline: "stable", candidate: "canary", candidateIs: "drawn", step: 0 } as const;
    const traffic = new Map([["shop", { split: undefined, rollout: { ...rollout, weight: 25, rings: [] } }]]);
    active.direct(traffic);
    const [shop] = new LiveReleases().of(active.current);
    expect(shop?.isDirected).toBe(true);
    expect(shop?.versions).toContainEqual({ version: "canary", configuredShare: 0.25 });
  });

  it("tells that a rollout has taken the candidate back, also where that leaves the weights as they were", () => {
    const active = activeSnapshot(yaml("split: { stable: 100 }"));
    const releases = new LiveReleases();
    expect(releases.of(active.current)[0]?.isDirected).toBe(false);
    const rollout = { id: "1", baseline: "stable", candidate: "canary", candidateIs: "withdrawn", step: 0 } as const;
    active.direct(new Map([["shop", { split: undefined, rollout: { ...rollout, weight: 0, rings: [] } }]]));
    expect(releases.of(active.current)[0]?.isDirected).toBe(true);
    active.direct(new Map());
    expect(releases.of(active.current)[0]?.isDirected).toBe(false);
  });
});
