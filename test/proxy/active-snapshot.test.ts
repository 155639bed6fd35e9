import { describe, expect, it } from "vitest";
import type { CompiledConfig } from "../../src/config/compiled-config.ts";
import type { TrafficByRelease } from "../../src/decide/release-traffic.ts";
import { mirrorGroup } from "../../src/observe/mirror-stats.ts";
import { releaseGroup } from "../../src/observe/release-stats.ts";
import { requestGroup } from "../../src/observe/request-stats.ts";
import { faultGroup, rateLimitGroup } from "../../src/observe/route-stats.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { upstreamGroup } from "../../src/observe/upstream-stats.ts";
import { EndpointRegistry, noopEndpointEvents } from "../../src/upstream/endpoint-registry.ts";
import { shopYaml } from "../kit/one-service.ts";
import { activeSnapshot } from "../kit/snapshot.ts";
import { finished } from "../kit/steps.ts";

const yaml = shopYaml({
  stable: "http://127.0.0.1:1",
  canary: "http://127.0.0.1:2",
  release: "split: { stable: 100, canary: 0 }",
});

const drawing = (weight: number): TrafficByRelease =>
  new Map([
    [
      "shop",
      {
        split: undefined,
        rollout: { id: "1", baseline: "stable", candidate: "canary", candidateIs: "drawn", step: 0, weight, rings: [] },
      },
    ],
  ]);

it("traffic changes what the current releases do; a prepared configuration begins with the traffic of its commit", () => {
  const active = activeSnapshot(yaml);
  const shop = () => active.current.releases.get("shop");
  const share = () => shop()?.policy.weights?.["canary"];
  expect(share()).toBe(0);
  active.direct(drawing(5));
  expect(share()).toBe(5);
  const before = shop();
  const commit = active.prepare(active.current.config, "next");
  active.direct(drawing(10));
  expect([share(), shop()]).toEqual([10, before]);
  commit(drawing(20));
  expect(share()).toBe(20);
  expect(shop()).not.toBe(before);
  expect(shop()?.tap).toBe(before?.tap);
  active.direct(new Map());
  expect(share()).toBe(0);
});

describe("a snapshot that is built in place of another", () => {
  const several = `
services:
  shop:
    versions: { stable: { endpoints: ["http://127.0.0.1:1"] }, canary: { endpoints: ["http://127.0.0.1:2"] } }
    limits: { maxConnections: 7, maxInFlight: 5 }
    retries: { attempts: 2 }
  blog: { versions: { stable: { endpoints: ["http://127.0.0.1:3"] } } }
releases:
  shop: { split: { stable: 100, canary: 0 }, mirror: { version: canary, percent: 1 } }
routes:
  - { name: old, match: { hosts: [old.example.com] }, redirect: { host: shop.example.com } }
  - name: shop
    match: { hosts: [shop.example.com] }
    service: shop
    release: shop
    rateLimit: { by: clientAddress, requests: 10, per: 1s }
    fault: { abort: { status: 503, percent: 1 } }
  - { name: blog, service: blog }
`;

  function built(change: (config: CompiledConfig) => CompiledConfig) {
    const stats = new StatsRegistry();
    const endpoints = new EndpointRegistry(noopEndpointEvents);
    const active = activeSnapshot(several, { stats, endpoints });
    const before = active.current;
    const targets = () => active.current.routes.entries.map(({ target }) => target);
    const routesBefore = targets();
    const commit = finished(active.building(change(before.config), "next"));
    const keysOf = () =>
      [requestGroup, upstreamGroup, releaseGroup, mirrorGroup, rateLimitGroup, faultGroup].map((group) => [
        ...stats.all(group as typeof requestGroup).keys(),
      ]);
    const keysBefore = keysOf();
    const after = commit(new Map());
    const isSame = () => targets().map((route, at) => route === routesBefore[at]);
    return { before, after, isSame, keysBefore, keysOf, endpoints: [...endpoints.all()] };
  }

  it("keeps everything if nothing has changed, with what it counts", () => {
    const { before, after, isSame, keysBefore, keysOf, endpoints } = built((config) => ({ ...config }));
    expect(after).not.toBe(before);
    expect([after.routes === before.routes, isSame()]).toEqual([true, [true, true, true]]);
    expect(after.services.get("shop")).toBe(before.services.get("shop"));
    expect(after.releases.get("shop")).toBe(before.releases.get("shop"));
    expect(keysOf()).toEqual(keysBefore);
    expect(keysBefore.map(({ length }) => length)).toEqual([7, 3, 1, 1, 1, 1]);
    expect(after.services.get("shop")?.versions.get("stable")?.endpoints.current).toMatchObject([{ maxInFlight: 7 }]);
    expect(endpoints.map(({ origin, retired }) => [origin, retired])).toEqual([
      ["http://127.0.0.1:1", false],
      ["http://127.0.0.1:2", false],
      ["http://127.0.0.1:3", false],
    ]);
  });

  const changes: readonly (readonly [string, (config: CompiledConfig) => CompiledConfig, readonly boolean[]])[] = [
    [
      "a route",
      (config) => ({ ...config, routes: config.routes.map((route, at) => (at === 2 ? { ...route } : route)) }),
      [true, true, false],
    ],
    [
      "a service, and so its routes",
      (config) => ({ ...config, services: config.services.map((spec, at) => (at === 1 ? { ...spec } : spec)) }),
      [true, true, false],
    ],
    [
      "a release, and so its routes",
      (config) => ({ ...config, releases: config.releases.map((spec) => ({ ...spec })) }),
      [true, false, true],
    ],
    [
      "what all routes read",
      (config) => ({ ...config, limits: { ...config.limits, bodyBytes: 7 } }),
      [false, false, false],
    ],
    [
      "a mirror",
      (config) => ({ ...config, mirrors: config.mirrors.map((spec) => ({ ...spec })) }),
      [false, false, false],
    ],
  ];
  it.each(changes)("builds anew what has changed: %s", (_what, change, wanted) => {
    const { before, after, isSame, keysBefore, keysOf } = built(change);
    expect(isSame()).toEqual(wanted);
    expect(after.routes).not.toBe(before.routes);
    expect(keysOf()).toEqual(keysBefore);
  });

  it("counts no more what is gone", () => {
    const { keysOf, after } = built((config) => ({ ...config, routes: config.routes.slice(0, 2) }));
    expect(keysOf()[0]).toEqual([
      "old\nnone\nnone",
      "shop\nshop\nnone",
      "shop\nshop\nstable",
      "shop\nshop\ncanary",
      "none\nnone\nnone",
    ]);
    expect(after.routes.entries).toHaveLength(2);
  });

  it("leaves the active one as it is until it is committed, also halfway", () => {
    const active = activeSnapshot(several);
    const before = active.current;
    const { routes, services } = before.config;
    const steps = active.building(
      { ...before.config, services: services.map((spec) => ({ ...spec })), routes },
      "next",
    );
    for (let step = 0; step < 5; step++) expect(steps.next().done).toBe(false);
    const endpoints = before.services.get("blog")?.versions.get("stable")?.endpoints.current;
    expect([active.current === before, endpoints?.length]).toEqual([true, 1]);
    const commit = finished(steps);
    expect(active.current).toBe(before);
    expect(commit(new Map())).toBe(active.current);
    expect(active.current.services.get("blog")?.versions.get("stable")?.endpoints.current).toEqual(endpoints);
  });
});
