import { describe, expect, it } from "vitest";
import { AccessLog } from "../../../src/observe/access-log.ts";
import {
  failedAt,
  requestsAt,
  sumTraffic,
  type TrafficConfig,
  TrafficCounter,
  type TrafficCounts,
} from "../../../src/observe/live/traffic-counts.ts";
import { Observer } from "../../../src/observe/observer.ts";
import type { Outcome } from "../../../src/observe/outcome.ts";
import { releaseGroup } from "../../../src/observe/release-stats.ts";
import { requestGroup } from "../../../src/observe/request-stats.ts";
import { StatsRegistry } from "../../../src/observe/stats-registry.ts";
import { unwatchedTail } from "../../kit/unwatched-tail.ts";
import { fineOutcome } from "../outcome.ts";

const destination = { write: () => {}, flush: async () => {}, close: async () => {} };
const observer = new Observer(new AccessLog({ destination, sample: 0, nowMs: () => 0 }), unwatchedTail);

interface Routed {
  readonly name: string;
  readonly release: string | undefined;
}

/** Routes to the service `web` with the versions `stable` and `canary`, each with a release of its own or none. */
function counted() {
  const stats = new StatsRegistry();
  const counter = new TrafficCounter(stats);
  let config: TrafficConfig = { releases: [], services: [], routes: [] };
  return {
    reload(...routes: readonly Routed[]) {
      const made = stats.begin();
      const names = [...new Set(routes.flatMap(({ release }) => release ?? []))];
      for (const name of names) made.release(name, ["stable", "canary"], ["qa", "beta"]);
      for (const { name } of routes) for (const version of ["stable", "canary"]) made.request(name, "web", version);
      config = {
        releases: names.map((name) => ({ name })),
        services: [{ name: "web", versions: [{ name: "stable" }, { name: "canary" }] }],
        routes: routes.map((route) => ({ ...route, service: "web" })),
      };
      made.commit();
    },
    request(route: string, version: string, outcome: Partial<Outcome> = {}) {
      const found = stats.all(requestGroup).get(requestGroup.keyOf([route, "web", version]));
      if (found === undefined) throw new Error(`there is no route ${route}`);
      observer.observe({ ...fineOutcome, ...outcome }, found);
    },
    hit: (rule: string) => stats.all(releaseGroup).get("shop")?.ruleHit(rule),
    counts: () => counter.counts(config),
    following: () => counter.following(config),
    follows: () => counter.follows(config),
  };
}

const requestsOf = (counts: TrafficCounts) =>
  Object.fromEntries(
    Array.from(counts, ([release, { versions }]) => [
      release,
      Object.fromEntries(Array.from(versions, ([version, sums]) => [version, [sums[requestsAt], sums[failedAt]]])),
    ]),
  );

const shop = { name: "a", release: "shop" };
const shopToo = { name: "b", release: "shop" };
const other = { name: "c", release: "other" };

describe("what a data plane counted of a release", () => {
  it("is the sum of its routes, by the version served", () => {
    const plane = counted();
    plane.reload(shop, shopToo, other);
    plane.request("a", "stable");
    plane.request("b", "stable");
    plane.request("b", "canary");
    plane.request("c", "stable");
    expect(requestsOf(plane.counts())).toEqual({
      shop: { stable: [2, 0], canary: [1, 0] },
      other: { stable: [1, 0] },
    });
    expect(plane.counts().get("shop")?.versions.get("stable")?.[7]).toBe(2);
  });

  it("is plain data, the same in another thread", () => {
    const plane = counted();
    plane.reload(shop);
    plane.request("a", "stable");
    plane.hit("qa");
    expect(structuredClone(plane.counts())).toEqual(plane.counts());
    expect([...(plane.counts().get("shop")?.ruleHits ?? [])]).toEqual([["qa", 1]]);
  });

  it.each([
    { sentence: "a 200", outcome: { status: 200 }, failed: 0 },
    { sentence: "a 404", outcome: { status: 404 }, failed: 0 },
    { sentence: "a client that left", outcome: { status: 499 }, failed: 0 },
    { sentence: "a 503", outcome: { status: 503 }, failed: 1 },
    { sentence: "a gRPC call that is unavailable", outcome: { status: 200, grpcStatus: 14 }, failed: 1 },
    { sentence: "a gRPC call that fails by HTTP as well, once", outcome: { status: 503, grpcStatus: 14 }, failed: 1 },
    { sentence: "a gRPC call that was not found", outcome: { status: 200, grpcStatus: 5 }, failed: 0 },
  ])("has $failed failures after $sentence", ({ outcome, failed }) => {
    const plane = counted();
    plane.reload(shop);
    plane.request("a", "stable", outcome);
    expect(requestsOf(plane.counts())).toEqual({ shop: { stable: [1, failed] } });
  });

  it("goes on over reloads, and counts what a new route has had since", () => {
    const plane = counted();
    plane.reload(shop);
    plane.request("a", "stable");
    plane.counts();
    plane.reload(shop, shopToo);
    plane.request("a", "stable");
    plane.request("b", "stable", { status: 500 });
    expect(requestsOf(plane.counts())).toEqual({ shop: { stable: [3, 1] } });
  });

  it("does not fall when a route goes to another release, which does not get its past", () => {
    const plane = counted();
    plane.reload(shop, shopToo, other);
    for (const route of ["a", "b", "c"]) plane.request(route, "stable");
    plane.counts();
    plane.reload(shop, { name: "b", release: "other" }, other);
    expect(requestsOf(plane.counts())).toEqual({ shop: { stable: [2, 0] }, other: { stable: [1, 0] } });
    plane.request("b", "stable");
    expect(requestsOf(plane.counts())).toEqual({ shop: { stable: [2, 0] }, other: { stable: [2, 0] } });
    plane.reload(shop, shopToo, other);
    plane.counts();
    plane.request("b", "stable");
    expect(requestsOf(plane.counts())).toEqual({ shop: { stable: [3, 0] }, other: { stable: [2, 0] } });
  });

  it("begins with zero for a route that had no release before", () => {
    const plane = counted();
    plane.reload({ name: "a", release: undefined });
    plane.request("a", "stable");
    expect(requestsOf(plane.counts())).toEqual({});
    plane.reload(shop);
    expect(requestsOf(plane.counts())).toEqual({ shop: {} });
    plane.request("a", "stable");
    expect(requestsOf(plane.counts())).toEqual({ shop: { stable: [1, 0] } });
  });

  it("ends with the release", () => {
    const plane = counted();
    plane.reload(shop, other);
    plane.request("c", "stable");
    plane.counts();
    plane.reload(shop);
    expect(requestsOf(plane.counts())).toEqual({ shop: {} });
  });
});

it("several data planes are summed, and none is changed", () => {
  const [one, two] = [counted(), counted()];
  for (const plane of [one, two]) {
    plane.reload(shop);
    plane.request("a", "stable", { status: 500 });
    plane.hit("qa");
  }
  two.request("a", "canary");
  const all = [one.counts(), two.counts()];
  const sum = sumTraffic(all);
  expect(requestsOf(sum)).toEqual({ shop: { stable: [2, 2], canary: [1, 0] } });
  expect([...(sum.get("shop")?.ruleHits ?? [])]).toEqual([["qa", 2]]);
  expect(all.map(requestsOf)).toEqual([one.counts(), two.counts()].map(requestsOf));
});

it("a new configuration may be followed in steps, with requests between them", () => {
  const { reload, request, counts, following, follows } = counted();
  reload({ name: "a", release: "shop" }, { name: "b", release: "shop" });
  request("a", "stable");
  request("b", "canary");
  counts();
  reload({ name: "a", release: "shop" }, { name: "b", release: "blog" });
  expect(follows()).toBe(false);
  for (const _step of following()) {
    request("a", "stable");
    request("b", "canary");
  }
  expect(follows()).toBe(true);
  // A step for each route: `b` had three requests by the last of them, and none is lost.
  expect(requestsOf(counts())).toEqual({ shop: { stable: [3, 0], canary: [3, 0] }, blog: {} });
  request("b", "canary");
  expect(requestsOf(counts())).toEqual({ shop: { stable: [3, 0], canary: [3, 0] }, blog: { canary: [1, 0] } });
});
