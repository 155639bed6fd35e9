import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/decide/ip-address.ts";
import { RateLimitStats } from "../../src/observe/route-stats.ts";
import { RateLimit, RateLimitRegistry } from "../../src/proxy/rate-limit.ts";
import type { RateLimitSpec } from "../../src/route/route-spec.ts";
import { TokenBuckets } from "../../src/upstream/token-bucket.ts";
import { perch, upstream } from "../kit/freed.ts";
import { exchange, lanes, shopYaml } from "../kit/one-service.ts";
import { servePerch } from "../kit/served.ts";

const one: RateLimitSpec = { by: { kind: "clientAddress" }, requests: 1, perMs: 60_000, burst: 1, shared: undefined };
const stats = () => new RateLimitStats(undefined);

function limit(spec: RateLimitSpec, registry = new RateLimitRegistry()): RateLimit {
  return new RateLimit(spec, registry.next().buckets("all", spec), stats());
}

const from = (address: string, attribute?: string) => ({
  clientAddress: parseAddress(address),
  attribute: () => attribute,
});

/** Two requests, and whether they share a bucket. */
const pairs: readonly (readonly [string, ReturnType<typeof from>, ReturnType<typeof from>, boolean])[] = [
  ["one IPv4 address", from("192.0.2.1"), from("192.0.2.1"), true],
  ["two IPv4 addresses", from("192.0.2.1"), from("192.0.2.2"), false],
  ["an IPv4-mapped address", from("192.0.2.1"), from("::ffff:192.0.2.1"), true],
  ["two addresses of one /64", from("2001:db8::1"), from("2001:db8::ffff:1"), true],
  ["two /64 of one /48", from("2001:db8:0:1::1"), from("2001:db8:0:2::1"), false],
];

const rate = { requests: 10, perMs: 1_000, burst: 20 };

describe("token buckets", () => {
  it("give a burst, then one token each interval, and say when the next one comes", () => {
    const buckets = new TokenBuckets(rate);
    for (let i = 0; i < 20; i++) expect(buckets.take("a", 0)).toBe(0);
    expect(buckets.take("a", 0)).toBeCloseTo(100, 3);
    expect(buckets.take("a", 99)).toBeCloseTo(1, 3);
    expect(buckets.take("a", 100)).toBe(0);
    expect(buckets.take("a", 100)).toBeGreaterThan(0);
  });

  it("are separate for each requester", () => {
    const buckets = new TokenBuckets({ requests: 1, perMs: 1_000, burst: 1 });
    expect([buckets.take("a", 0), buckets.take("b", 0)]).toEqual([0, 0]);
    expect(buckets.take("a", 0)).toBeGreaterThan(0);
  });

  it("hold no more than a burst after any time", () => {
    const buckets = new TokenBuckets(rate);
    buckets.take("a", 0);
    const taken = Array.from({ length: 30 }, () => buckets.take("a", 1e9)).filter((waitMs) => waitMs === 0);
    expect(taken).toHaveLength(20);
  });

  it("give no more than a burst and what was added since, at any times; after the wait they give one", () => {
    const aRate = fc.record({
      requests: fc.integer({ min: 1, max: 1_000 }),
      perMs: fc.integer({ min: 1, max: 100_000 }),
      burst: fc.integer({ min: 1, max: 50 }),
    });
    const gaps = fc.array(fc.double({ min: 0, max: 500, noNaN: true }), { maxLength: 200 });
    fc.assert(
      fc.property(aRate, gaps, ({ requests, perMs, burst }, waits) => {
        const buckets = new TokenBuckets({ requests, perMs, burst });
        let now = 1_000_000;
        const taken: number[] = [];
        for (const gap of waits) {
          now += gap;
          const waitMs = buckets.take("a", now);
          if (waitMs === 0) taken.push(now);
          else expect(buckets.take("a", now + waitMs + 1e-3)).toBe(0);
          if (waitMs > 0) {
            now += waitMs + 1e-3;
            taken.push(now);
          }
          for (const [from, first] of taken.entries()) {
            const allowed = burst + ((now - first) / perMs) * requests;
            expect(taken.length - from).toBeLessThanOrEqual(allowed + 1e-6);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  it("remember a bounded number of requesters", () => {
    const buckets = new TokenBuckets(rate, 64);
    for (let i = 0; i < 10_000; i++) buckets.take(`name ${i}`, i);
    expect(buckets.size).toBe(64);
  });

  it("keep a requester over the limit during a flood of new ones", () => {
    const buckets = new TokenBuckets({ requests: 1, perMs: 60_000, burst: 5 }, 64);
    for (let i = 0; i < 5; i++) buckets.take("abuser", 0);
    for (let i = 0; i < 10_000; i++) {
      buckets.take(`name ${i}`, 1);
      expect(buckets.take("abuser", 1)).toBeGreaterThan(0);
    }
  });
});

describe("a limit by client address", () => {
  it.each(pairs)("%s", (_what, first, second, same) => {
    const limited = limit(one);
    expect(limited.refuse(first, 0)).toBeUndefined();
    expect(limited.refuse(second, 0) !== undefined).toBe(same);
  });
});

describe("a limit by an attribute", () => {
  const byUser: RateLimitSpec = { ...one, by: { kind: "attribute", index: 0, name: "user" } };

  it("follows the user from address to address", () => {
    const limited = limit(byUser);
    expect(limited.refuse(from("192.0.2.1", "ada"), 0)).toBeUndefined();
    expect(limited.refuse(from("192.0.2.2", "ada"), 0)).toBeDefined();
    expect(limited.refuse(from("192.0.2.1", "grace"), 0)).toBeUndefined();
  });

  it("counts by the address without the attribute, which no value can imitate", () => {
    const limited = limit(byUser);
    expect(limited.refuse(from("192.0.2.1"), 0)).toBeUndefined();
    expect(limited.refuse(from("192.0.2.9", "192.0.2.1"), 0)).toBeUndefined();
    expect(limited.refuse(from("192.0.2.1"), 0)).toBeDefined();
  });

  it("distinguishes long values", () => {
    const limited = limit(byUser);
    expect(limited.refuse(from("192.0.2.1", `${"x".repeat(9000)}a`), 0)).toBeUndefined();
    expect(limited.refuse(from("192.0.2.1", `${"x".repeat(9000)}b`), 0)).toBeUndefined();
    expect(limited.refuse(from("192.0.2.1", `${"x".repeat(9000)}a`), 0)).toBeDefined();
  });
});

describe("buckets over reloads", () => {
  it("stay for a limit that a reload does not change; a failed reload changes nothing", () => {
    const registry = new RateLimitRegistry();
    const generation = registry.next();
    new RateLimit(one, generation.buckets("all", one), stats()).refuse(from("192.0.2.1"), 0);
    generation.commit();
    const changed = { ...one, burst: 2 };
    registry.next().buckets("all", changed);
    expect(limit(one, registry).refuse(from("192.0.2.1"), 0)).toBeDefined();
    expect(limit(changed, registry).refuse(from("192.0.2.1"), 0)).toBeUndefined();
  });

  it("stay in a process that reloads its file", { tags: ["slow"] }, async () => {
    const stable = await upstream("stable");
    const yaml = (more: string) =>
      shopYaml({ stable: stable.origin, route: `rateLimit: { requests: 1, per: 1h }${more}` });
    const served = await servePerch(yaml(""));
    const status = async () => (await fetch(served.origin)).status;
    expect([await status(), await status()]).toEqual([200, 429]);
    await served.write(yaml(", maxBodySize: 1KiB"));
    await expect.poll(() => served.metric('perch_config_reloads_total{result="success"}')).toBe(1);
    expect(await status()).toBe(429);
  });
});

describe.each(lanes)("a rate limit, in the $lane lane", ({ fastLane }) => {
  it("answers 429 with Retry-After, counts it, and keeps the connection and other routes", async () => {
    const stable = await upstream("stable");
    const { port, metric } = await perch(`
fastLane: ${fastLane}
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] } } } }
releases: { shop: { split: { stable: 1 } } }
routes:
  - { name: few, match: { path: { prefix: /few } }, service: shop, release: shop, rateLimit: { requests: 2, per: 1h } }
  - { name: moved, match: { path: { prefix: /moved } }, redirect: { path: / }, rateLimit: { requests: 1, per: 1h } }
  - { name: all, service: shop }`);
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n`;
    const paths = ["/few", "/few", "/few", "/moved", "/moved", "/all"];
    const sent = `${paths.map((path) => `${get(path)}\r\n`).join("")}${get("/few")}Connection: close\r\n\r\n`;
    const answers = await exchange(port, sent);
    expect(answers.match(/HTTP\/1.1 \d+/g)?.map((line) => line.slice(9))).toEqual([
      "200",
      "200",
      "429",
      "302",
      "429",
      "200",
      "429",
    ]);
    expect(answers).toContain("x-perch-error: rate-limited");
    expect(answers).toMatch(/\r\nRetry-After: 1[78]\d\d\r\n/);
    expect(answers.match(/Set-Cookie/g)).toHaveLength(2);
    expect(await metric('perch_rate_limited_total{route="few"}')).toBe(2);
    const series = 'route="few",service="shop",version="none",code="429",method="GET"';
    expect(await metric(`perch_requests_total{${series}}`)).toBe(2);
    expect(await metric('perch_decisions_total{release="shop",version="stable",reason="split"}')).toBe(2);
    expect(stable.seen).toHaveLength(3);
  });
});
