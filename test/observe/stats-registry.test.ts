import { describe, expect, test } from "vitest";
import { attributeGroup } from "../../src/observe/attribute-stats.ts";
import { releaseGroup } from "../../src/observe/release-stats.ts";
import { RequestStats, requestGroup } from "../../src/observe/request-stats.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { upstreamGroup } from "../../src/observe/upstream-stats.ts";

describe("request stats", () => {
  test("count by code and method", () => {
    const stats = new RequestStats();
    for (const code of [200, 200, 404, 200]) stats.count(code, "GET");
    stats.count(200, "POST");
    expect([...stats.byCodeAndMethod.series()]).toEqual([
      { labels: ["200", "GET"], value: 3 },
      { labels: ["404", "GET"], value: 1 },
      { labels: ["200", "POST"], value: 1 },
    ]);
  });

  test.each([
    { code: 99, method: "GET", wanted: { code: "other", method: "GET" } },
    { code: 100, method: "GET", wanted: { code: "100", method: "GET" } },
    { code: 499, method: "PATCH", wanted: { code: "499", method: "PATCH" } },
    { code: 599, method: "TRACE", wanted: { code: "599", method: "TRACE" } },
    { code: 600, method: "GET", wanted: { code: "other", method: "GET" } },
    { code: Number.NaN, method: "GET", wanted: { code: "other", method: "GET" } },
    { code: 200.5, method: "GET", wanted: { code: "200", method: "GET" } },
    { code: 200, method: "get", wanted: { code: "200", method: "other" } },
    { code: 200, method: "", wanted: { code: "200", method: "other" } },
    { code: 200, method: "PROPFIND", wanted: { code: "200", method: "other" } },
    { code: 200, method: "__proto__", wanted: { code: "200", method: "other" } },
  ])("export $code $method as $wanted", ({ code, method, wanted }) => {
    const stats = new RequestStats();
    stats.count(code, method);
    expect([...stats.byCodeAndMethod.series()]).toEqual([{ labels: [wanted.code, wanted.method], value: 1 }]);
  });

  test("cardinality attack: no client or upstream can make more series than codes times methods", () => {
    const stats = new RequestStats();
    const attempts = 100_000;
    for (let attempt = 0; attempt < attempts; attempt++) stats.count(attempt - 50_000 + 1 / 3, `M${attempt}`);
    for (let attempt = 0; attempt < attempts; attempt++) stats.count(200, `X-${attempt}\n`);
    const series = [...stats.byCodeAndMethod.series()];
    expect(series.length).toBe(501);
    expect(new Set(series.map(({ labels: [, method] }) => method))).toEqual(new Set(["other"]));
    expect(series.reduce((sum, { value }) => sum + value, 0)).toBe(2 * attempts);
  });
});

describe("release stats", () => {
  const fresh = () => new StatsRegistry().begin().release("shop", ["stable", "canary"], ["east"]);

  test("count a decision by version and reason, and in the window of placed ones", () => {
    const stats = fresh();
    stats.decided("canary", "rule", 1_000);
    stats.decided("canary", "pin", 2_000);
    const canary = stats.versions.get("canary");
    expect(canary?.byReason.by).toMatchObject({ rule: { value: 1 }, pin: { value: 1 }, split: { value: 0 } });
    expect(canary?.placed.total(60_000, 2_000)).toBe(2);
    expect(stats.versions.get("stable")?.placed.total(60_000, 2_000)).toBe(0);
  });

  test("make no series for a version or rule that the release does not name", () => {
    const stats = fresh();
    stats.decided("ghost", "override", 0);
    stats.ruleHit("ghost");
    expect([...stats.versions.keys()]).toEqual(["stable", "canary"]);
    expect([...stats.ruleHits]).toEqual([["east", { value: 0 }]]);
  });

  test("count rule hits and rejected pins", () => {
    const stats = fresh();
    stats.ruleHit("east");
    stats.pinRejected("forged");
    stats.pinRejected("forged");
    expect(stats.ruleHits.get("east")?.value).toBe(1);
    expect(stats.pinsRejected.by).toMatchObject({ forged: { value: 2 }, expired: { value: 0 } });
  });
});

describe("a reload", () => {
  /** A registry whose active snapshot has one of everything, each counted once. */
  const loaded = () => {
    const registry = new StatsRegistry();
    const generation = registry.begin();
    const request = generation.request("shop", "shop", "stable");
    const upstream = generation.upstream("shop", "stable");
    const release = generation.release("shop", ["stable", "canary"], ["east", "west"]);
    const attribute = generation.attribute("userId", ["unparsable", "repeated"]);
    generation.commit();
    request.count(200, "GET");
    upstream.error("connect-failed");
    release.decided("stable", "split", 0);
    release.ruleHit("east");
    release.pinRejected("expired");
    release.pinFlips.value++;
    attribute.error("repeated");
    return { registry, request, upstream, release, attribute };
  };

  test("keeps the stats of what it names again", () => {
    const { registry, request, upstream, attribute, release } = loaded();
    const next = registry.begin();
    expect(next.request("shop", "shop", "stable")).toBe(request);
    expect(next.upstream("shop", "stable")).toBe(upstream);
    const errors = next.attribute("userId", ["repeated", "jwt-key"]).errors.by;
    expect(errors["repeated"]).toBe(attribute.errors.by["repeated"]);
    expect(Object.keys(errors)).toEqual(["repeated", "jwt-key"]);
    const again = next.release("shop", ["stable", "v3"], ["west", "east"]);
    next.commit();
    expect([...again.versions.keys()]).toEqual(["stable", "v3"]);
    expect(again.versions.get("stable")).toBe(release.versions.get("stable"));
    expect([...again.ruleHits].map(([rule, { value }]) => [rule, value])).toEqual([
      ["west", 0],
      ["east", 1],
    ]);
    expect(again.pinsRejected.by.expired.value).toBe(1);
    expect(again.pinFlips.value).toBe(1);
  });

  test("keeps what a listener counted, and starts at 0 what it could not count before", () => {
    const registry = new StatsRegistry();
    const generation = registry.begin();
    const plain = generation.listener("web", { tls: false, proxyProtocol: true });
    generation.commit();
    plain.open.value = 2;
    plain.refused("address");
    plain.rejected("malformed");
    plain.handshakeFailed("not-tls");
    const next = registry.begin();
    const secure = next.listener("web", { tls: true, proxyProtocol: false });
    next.commit();
    expect(secure.open.value).toBe(2);
    expect(secure.refusals.by.address.value).toBe(1);
    expect(secure.handshakes?.by["not-tls"].value).toBe(0);
    expect(secure.rejections).toBe(undefined);
  });

  test("counts for a request that began before it, in what both snapshots have", () => {
    const { registry, release } = loaded();
    const next = registry.begin();
    const again = next.release("shop", ["stable"], ["east"]);
    next.commit();
    release.decided("stable", "pin", 0);
    release.decided("canary", "pin", 0);
    release.ruleHit("east");
    expect(again.versions.get("stable")?.byReason.by.pin.value).toBe(1);
    expect(again.ruleHits.get("east")?.value).toBe(2);
    expect(again.versions.has("canary")).toBe(false);
  });

  test("lets go of what it does not name", () => {
    const { registry } = loaded();
    registry.begin().commit();
    expect([...registry.all(requestGroup)]).toEqual([]);
    expect([...registry.all(upstreamGroup)]).toEqual([]);
    expect([...registry.all(releaseGroup)]).toEqual([]);
    expect([...registry.all(attributeGroup)]).toEqual([]);
  });

  test("that is given up changes nothing", () => {
    const { registry, request, release } = loaded();
    const abandoned = registry.begin();
    abandoned.request("other", "other", "stable");
    abandoned.release("shop", ["v3"], []);
    expect([...registry.all(requestGroup).values()]).toEqual([request]);
    expect([...registry.all(releaseGroup).values()]).toEqual([release]);
  });

  test("gives the same stats to all who ask for the same names", () => {
    const generation = new StatsRegistry().begin();
    expect(generation.request("a", "b", "c")).toBe(generation.request("a", "b", "c"));
    expect(generation.upstream("a", "b")).toBe(generation.upstream("a", "b"));
    expect(generation.request("a-b", "c", "d")).not.toBe(generation.request("a", "b-c", "d"));
  });

  test("is told apart from the first load and from a refused file", () => {
    const { reloads } = new StatsRegistry();
    const values = () =>
      [reloads.results.by.success, reloads.results.by.failure, reloads.lastSuccessful, reloads.lastSuccessSeconds].map(
        ({ value }) => value,
      );
    reloads.loaded(1_000, "a1b2");
    expect(values()).toEqual([0, 0, 1, 1]);
    reloads.rejected();
    expect(values()).toEqual([0, 1, 0, 1]);
    reloads.reloaded(3_500, "c3d4");
    expect(values()).toEqual([1, 1, 1, 3.5]);
  });
});
