import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { createEngine, type Engine, type EngineDecision, type EngineRequest } from "../../src/index.ts";

const engineOf = (name: string): Engine =>
  createEngine(
    { file: fileURLToPath(new URL(`../../config/${name}`, import.meta.url)) },
    { env: {}, nowMs: () => Date.UTC(2026, 5, 1), randomBytes: (size) => new Uint8Array(size).fill(7) },
  );

function decide(engine: Engine, headers: Record<string, string>, request: Partial<EngineRequest> = {}): EngineDecision {
  return engine.decide({ method: "GET", url: "/", headers: { host: "shop.example.com", ...headers }, ...request });
}

/** The share of ten thousand users that a version gets. */
function shareOf(engine: Engine, version: string, headersOf: (user: number) => Record<string, string>): number {
  const users = Array.from({ length: 10_000 }, (_, user) => decide(engine, headersOf(user)).version);
  return users.filter((given) => given === version).length / users.length;
}

describe("nginx.yaml", () => {
  const engine = engineOf("nginx.yaml");
  const east = { "x-user-region": "cn-east" };

  test.each([
    ["a new user in the east", { ...east, "x-user-registered-at": "2026-03-01" }, "canary", "rule"],
    [
      "a user in the east who registered on the first day",
      { ...east, "x-user-registered-at": "2026-01-01" },
      "stable",
      "split",
    ],
    ["an old user in the east", { ...east, "x-user-registered-at": "2025-03-01" }, "stable", "split"],
    ["a user in the east without a registration date", east, "stable", "split"],
    ["a new user elsewhere", { "x-user-region": "us", "x-user-registered-at": "2026-03-01" }, "stable", "split"],
  ])("%s", (_sentence, headers, version, reason) => {
    // User 3 draws stable, so only the rule can lead to the canary.
    expect(decide(engine, { "x-user-id": "3", ...headers })).toMatchObject({ version, reason, release: "nginx" });
  });

  test("all other users are split 75 to 25", () => {
    expect(shareOf(engine, "canary", (user) => ({ "x-user-id": `user-${user}` }))).toBeCloseTo(0.25, 1.5);
  });

  test("a user keeps the version, by the id in a header or cookie, or by the pin alone", () => {
    for (let user = 0; user < 50; user++) {
      const first = decide(engine, { "x-user-id": `user-${user}` });
      const pin = first.setCookie?.split(";")[0] ?? "";
      expect(decide(engine, { cookie: `uid=user-${user}` }).version).toBe(first.version);
      expect(decide(engine, { cookie: pin }).version).toBe(first.version);
    }
  });
});

describe("minimal.yaml", () => {
  test("gives 10 % of the users the canary", () => {
    // Without an attribute the unit is random, so the random source is deterministic here.
    let seed = 0;
    const engine = createEngine(
      { file: fileURLToPath(new URL("../../config/minimal.yaml", import.meta.url)) },
      {
        env: {},
        nowMs: () => 0,
        randomBytes: (size) => Uint8Array.from({ length: size }, () => (seed = (seed * 48_271 + 11) % 2_147_483_647)),
      },
    );
    expect(shareOf(engine, "canary", () => ({}))).toBeCloseTo(0.1, 1.5);
  });
});

describe("full.yaml", () => {
  const engine = engineOf("full.yaml");
  const fromOffice = { remoteAddress: "10.1.2.3" };

  test.each<[string, Record<string, string>, Partial<EngineRequest>, object]>([
    [
      "the API, by host, path, method, header and query",
      { "x-api": "v2" },
      { url: "/api/x?lang=en" },
      { route: "shop-api" },
    ],
    [
      "not the API, by another header",
      { "x-api": "v3" },
      { url: "/api/x?lang=en" },
      { route: "shop", release: "shop" },
    ],
    [
      "a path without a release, served by the default",
      {},
      { url: "/healthz" },
      { route: "health", version: "stable", release: null },
    ],
    ["assets, by a pattern", {}, { url: "/a/b.css" }, { route: "assets", service: "pages" }],
    ["a tester in the office", { "x-perch-version": "canary" }, fromOffice, { version: "canary", reason: "override" }],
    [
      "staff, by a trusted proxy's header",
      { "x-user-staff": "true" },
      fromOffice,
      { rule: "staff-and-good-customers" },
    ],
    ["not staff, by an untrusted header", { "x-user-staff": "true" }, { remoteAddress: "192.168.0.1" }, { rule: null }],
    [
      "a long-time customer",
      { "x-user-orders": "12", "x-user-registered-at": "2020-01-01" },
      {},
      { rule: "staff-and-good-customers" },
    ],
    [
      "a new customer with some orders",
      { "x-user-orders": "7", "x-user-registered-at": "2026-05-20" },
      {},
      { rule: "staff-and-good-customers" },
    ],
    [
      "all raw facts",
      { "x-beta": "1", "user-agent": "Firefox Mobile", cookie: "beta=yes" },
      { url: "/cart?theme=dark-2", remoteAddress: "192.0.2.9" },
      { rule: "by-raw-facts", version: "canary" },
    ],
  ])("%s", (_sentence, headers, request, wanted) => {
    expect(decide(engine, headers, request)).toMatchObject(wanted);
  });

  test("a service without a canary serves its default to a user of the canary", () => {
    const given = decide(engine, { "x-perch-version": "canary" }, { ...fromOffice, url: "/x.css" });
    expect(given).toMatchObject({ version: "canary", served: "stable" });
  });
});
