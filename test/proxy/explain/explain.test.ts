import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createOverrideToken } from "../../../src/decide/override.ts";
import { timeForms } from "../../../src/decide/time.ts";
import { StatsRegistry } from "../../../src/observe/stats-registry.ts";
import { noCounts } from "../../../src/observe/stats-transfer.ts";
import type { DryRequest } from "../../../src/proxy/explain/dry-run.ts";
import { type Explanation, explainRequest } from "../../../src/proxy/explain/explain.ts";
import { snapshotOf } from "../../kit/snapshot.ts";

const nowMs = Date.UTC(2026, 5, 1);
const secret = Buffer.alloc(32, "s");

const shop = `
trustedProxies: [10.0.0.0/8]
attributes:
  userId: { type: string, from: [{ header: x-user-id }, { cookie: uid }] }
  region: { type: string, from: [{ header: x-region, trust: proxies }, { query: region }] }
  registeredAt: { type: time, from: [{ header: x-registered-at }] }
  appVersion: { type: semver, from: [{ header: x-app-version }] }
services:
  shop:
    versions:
      stable: { endpoints: ["http://shop-stable:80"] }
      canary: { endpoints: ["http://shop-canary:80", "http://shop-canary-2:80"] }
  pages: { versions: { stable: { endpoints: ["http://pages:80"] } } }
releases:
  shop:
    sticky: { by: userId }
    override: { header: x-perch-version, cookie: tester, query: perch-version, allowFrom: [192.0.2.0/24], secretFile: tokens }
    rules:
      - { name: new-users, when: { registeredAt: { after: 2026-01-01 } }, use: canary }
    split: { stable: 100, canary: 0 }
routes:
  - { name: api, match: { hosts: [shop.example.com], path: { prefix: /api }, methods: [GET] }, service: shop, release: shop }
  - { name: assets, match: { hosts: [shop.example.com], path: { prefix: /assets } }, service: shop }
  - { name: pages, match: { hosts: [pages.example.com] }, service: pages, release: shop }
`;

const snapshot = snapshotOf(shop, { secret });
const random = { int32: () => 7 };
const explain = (request: DryRequest, at = nowMs): Explanation =>
  explainRequest(snapshot, request, { nowMs: at, random });
const details = ({ trail }: Explanation, stage: string): string[] =>
  trail.filter((step) => step.stage === stage).map(({ outcome, detail }) => `${outcome}: ${detail}`);

const api = "http://shop.example.com/api/cart";
const newUser = { "x-user-id": "42", "x-registered-at": "2026-02-01" };

describe("an explanation has the decision", () => {
  it.each<{ sentence: string; request: DryRequest; wanted: unknown }>([
    {
      sentence: "by a rule, with the attributes and where they came from",
      request: { url: api, headers: newUser },
      wanted: {
        route: "api",
        service: "shop",
        release: "shop",
        version: "canary",
        served: "canary",
        reason: "rule",
        rule: "new-users",
        attributes: {
          userId: { value: "42", source: "header x-user-id" },
          region: null,
          registeredAt: { value: "2026-02-01T00:00:00.000Z", source: "header x-registered-at" },
          appVersion: null,
        },
        unit: { source: "attribute", name: "userId", value: "42" },
        pin: { cookie: "perch-shop", received: "none", version: null },
        error: null,
      },
    },
    {
      sentence: "by the split",
      request: { url: api, headers: { "x-app-version": "v4.2" } },
      wanted: {
        version: "stable",
        reason: "split",
        rule: null,
        attributes: { appVersion: { value: "4.2.0", source: "header x-app-version" } },
        unit: { source: "new", name: null, value: null },
      },
    },
    {
      sentence: "by an override, which writes no pin",
      request: { url: api, headers: { "x-perch-version": "canary", "x-user-id": "42" }, client: "192.0.2.9" },
      wanted: { version: "canary", reason: "override", unit: { value: "42" }, pin: { wouldSet: null } },
    },
    {
      sentence: "by the default if the route has no release",
      request: { url: "http://shop.example.com/assets/a.css" },
      wanted: {
        route: "assets",
        release: null,
        version: "stable",
        served: "stable",
        reason: "default",
        pin: null,
        unit: null,
      },
    },
    {
      sentence: "with the default version serving if the service lacks the assigned one",
      request: { url: "http://pages.example.com/", headers: newUser },
      wanted: { route: "pages", service: "pages", version: "canary", served: "stable", reason: "rule" },
    },
    {
      sentence: "with nulls if no route matches",
      request: { url: "http://blog.example.com/", headers: newUser },
      wanted: {
        route: null,
        service: null,
        release: null,
        version: null,
        served: null,
        reason: null,
        rule: null,
        unit: null,
        pin: null,
        attributes: { userId: { value: "42" } },
        error: { code: "no-route", status: 404 },
      },
    },
    {
      sentence: "with bad-request for a malformed request",
      request: { url: "shop" },
      wanted: { route: null, error: { code: "bad-request", status: 400 }, trail: [{ outcome: "malformed" }] },
    },
    {
      sentence: "with bad-request for a client that is not an address",
      request: { url: api, client: "shop.example.com" },
      wanted: { error: { code: "bad-request" }, trail: [{ detail: '"shop.example.com" is not an IP address' }] },
    },
  ])("$sentence", ({ request, wanted }) => {
    expect(explain(request)).toMatchObject(wanted as object);
  });

  it("is plain JSON", () => {
    const explanation = explain({ url: api, headers: newUser });
    expect(JSON.parse(JSON.stringify(explanation))).toEqual(explanation);
  });
});

describe("the trail shows", () => {
  it("every stage in the order of the chain", () => {
    const stages = explain({ url: "http://pages.example.com/", headers: newUser }).trail.map(({ stage }) => stage);
    expect([...new Set(stages)]).toEqual(["request", "route", "identify", "unit", "rule", "cookie", "forward"]);
  });

  it("the routes before the match, and why they did not match", () => {
    expect(details(explain({ url: "http://pages.example.com/api", method: "POST" }), "route")).toEqual([
      "not-matched: api requires host shop.example.com, the request has pages.example.com; requires method GET, the request has POST",
      "not-matched: assets requires host shop.example.com, the request has pages.example.com; requires path below /assets, the request has /api",
      "matched: pages (host pages.example.com): service pages, release shop",
    ]);
  });

  it("the closest routes first if none matched", () => {
    expect(details(explain({ url: api, method: "DELETE" }), "route")).toEqual([
      "none: no route matches this request; the closest are:",
      "not-matched: api requires method GET, the request has DELETE",
      "not-matched: assets requires path below /assets, the request has /api/cart",
      "not-matched: pages requires host pages.example.com, the request has shop.example.com",
    ]);
  });

  it("at most five routes that did not match", () => {
    const routes = Array.from(
      { length: 9 },
      (_, at) => `{ name: r${at}, match: { path: { exact: /${at} } }, service: s }`,
    );
    const many = snapshotOf(`services: { s: { versions: { v: { endpoints: ["http://a:1"] } } } }\nroutes: [${routes}]`);
    const steps = details(explainRequest(many, { url: "/x" }, { nowMs, random }), "route");
    expect(steps).toHaveLength(7);
    expect(steps.at(-1)).toBe("not-matched: and 4 more routes");
  });

  it.each<{ sentence: string; request: DryRequest; detail: string }>([
    {
      sentence: "that only a trusted proxy may set an attribute",
      request: { url: api, headers: { "x-region": "cn-east" }, client: "203.0.113.9" },
      detail:
        "absent: region is unknown (header x-region: ignored, accepted only from a caller in trustedProxies; query region: absent)",
    },
    {
      sentence: "how to name such a proxy, where no caller was named",
      request: { url: api, headers: { "x-region": "cn-east" } },
      detail:
        "absent: region is unknown (header x-region: ignored, accepted only from a caller in trustedProxies: name one with --client (API: client=); query region: absent)",
    },
    {
      sentence: "that a trusted proxy set it",
      request: { url: api, headers: { "x-region": "cn-east" }, client: "10.1.2.3" },
      detail: 'found: region is "cn-east", from header x-region',
    },
    {
      sentence: "why a source was skipped for the next",
      request: { url: `${api}?region=us`, headers: { "x-region": "" }, client: "10.1.2.3" },
      detail: 'found: region is "us", from query region (header x-region: empty, treated as absent)',
    },
    {
      sentence: "that a header was repeated",
      request: { url: api, headers: { "x-user-id": ["1", "2"], cookie: "uid=3" } },
      detail: 'found: userId is "3", from cookie uid (header x-user-id: sent more than once, treated as absent)',
    },
    {
      sentence: "that a value cannot be parsed",
      request: { url: api, headers: { "x-registered-at": "yesterday" } },
      detail: `absent: registeredAt is unknown (header x-registered-at: "yesterday" cannot be parsed as time; write ${timeForms})`,
    },
    {
      sentence: "the client's address that a proxy forwarded",
      request: { url: api, headers: { "x-forwarded-for": "203.0.113.9" }, client: "10.1.2.3" },
      detail: "found: the client's address is 203.0.113.9",
    },
  ])("$sentence", ({ request, detail }) => {
    expect(details(explain(request), "identify")).toContain(detail);
  });

  const ignored: readonly [sentence: string, url: string, headers: Record<string, string>, why: string][] = [
    [
      "its token expired",
      api,
      { "x-perch-version": createOverrideToken(secret, "shop", "canary", nowMs - 1_000) },
      "header x-perch-version: the token expired at 2026-05-31T23:59:59.000Z",
    ],
    [
      "another secret signed it",
      api,
      { cookie: `tester=${createOverrideToken(Buffer.alloc(32, "x"), "shop", "canary", nowMs + 1_000)}` },
      "cookie tester: the token's signature does not verify with any configured secret",
    ],
    [
      "its version is not in the release",
      `${api}?perch-version=${createOverrideToken(secret, "shop", "v9", nowMs + 1_000)}`,
      {},
      "parameter perch-version: the token's version v9 is not in this release",
    ],
    [
      "a script fetched the link",
      `${api}?perch-version=${createOverrideToken(secret, "shop", "canary", nowMs + 1_000)}`,
      { "sec-fetch-mode": "cors" },
      "parameter perch-version: accepted only when a browser opens a page",
    ],
  ];
  it.each(ignored)("why an override was ignored: %s", (_sentence, url, headers, why) => {
    expect(details(explain({ url, headers }), "override")).toEqual([`ignored: ${why}`]);
  });

  it("the redirect of an override link, and its cookie", () => {
    const token = createOverrideToken(secret, "shop", "canary", nowMs + 60_000);
    const explanation = explain({ url: `${api}/\u00e9?a=1&perch-version=${token}` });
    expect(explanation).toMatchObject({ route: "api", version: null, error: null });
    expect(explanation.redirect).toEqual({
      status: 302,
      location: "/api/cart/%E9?a=1",
      setCookie: `tester=${token}; Max-Age=60; Path=/; HttpOnly; SameSite=Lax`,
    });
    expect(details(explanation, "override")).toEqual([
      "used: parameter perch-version: selects canary, is stored in cookie tester and redirects to /api/cart/%E9?a=1",
    ]);
  });

  it("that the client may not override", () => {
    const headers = { "x-perch-version": "canary" };
    expect(details(explain({ url: api, headers, client: "198.51.100.1" }), "override")).toEqual([
      "ignored: header x-perch-version: 198.51.100.1 is not in allowFrom",
    ]);
  });

  it("the endpoints, and which of them refuses connections", () => {
    const request = {
      url: api,
      headers: { "x-perch-version": createOverrideToken(secret, "shop", "canary", nowMs + 9e3) },
    };
    const before = "served: service shop, version canary: http://shop-canary:80, http://shop-canary-2:80";
    expect(details(explain(request), "forward")).toEqual([before]);
    const own = snapshotOf(shop, { secret });
    own.services.get("shop")?.versions.get("canary")?.endpoints.current[0]?.health.refused(nowMs);
    const [detail] = details(explainRequest(own, request, { nowMs, random }), "forward");
    expect(detail).toContain("http://shop-canary:80 (refuses connections), http://shop-canary-2:80");
  });

  it("that the default serves if no endpoint of the version is available", () => {
    const own = snapshotOf(shop, { secret });
    const canary = own.services.get("shop")?.versions.get("canary")?.endpoints.current ?? [];
    const failed = { passed: false, why: "status 503" };
    for (const { health } of canary) health.checked(nowMs, failed, { healthyAfter: 1, unhealthyAfter: 1 });
    const request = { url: api, headers: newUser };
    const { trail, served } = explainRequest(own, request, { nowMs, random });
    const step = trail.find(({ stage }) => stage === "forward");
    expect(served).toBe("canary");
    expect(step?.outcome).toBe("default-served");
    expect(step?.detail).toContain("(health checks fail); none of these is available, so the default stable serves");
  });

  it("that the service's default serves instead of a version that it lacks", () => {
    expect(details(explain({ url: "http://pages.example.com/", headers: newUser }), "forward")).toEqual([
      "default-served: service pages has no version canary; its default stable serves: http://pages:80",
    ]);
  });
});

describe("a pin in an explanation", () => {
  const first = explain({ url: api, headers: newUser });
  const cookie = first.pin?.wouldSet?.split(";")[0] ?? "";

  it("is the Set-Cookie value of the response", () => {
    expect(first.pin?.wouldSet).toMatch(
      /^perch-shop=1\.1\.1780272000\.canary\.r-new-users\.a\S+; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/,
    );
    expect(explain({ url: api, headers: newUser, scheme: "https" }).pin?.wouldSet).toContain("; Secure;");
  });

  it("gives the unit if the request has none, and is not written again", () => {
    const again = explain({ url: api, headers: { cookie } });
    expect(again).toMatchObject({ version: "canary", reason: "pin", rule: "new-users" });
    expect(again.unit).toEqual({ source: "pin", name: null, value: null, id: first.unit?.id });
    expect(again.pin).toEqual({ cookie: "perch-shop", received: "valid", version: "canary", wouldSet: null });
  });

  it.each([
    { sentence: "forged", sent: cookie.replace(/.$/, (last) => (last === "A" ? "Q" : "A")), at: nowMs },
    { sentence: "expired", sent: cookie, at: nowMs + 31 * 86_400_000 },
    { sentence: "malformed", sent: "perch-shop=canary", at: nowMs },
  ])("is rejected as $sentence", ({ sentence, sent, at }) => {
    const explanation = explain({ url: api, headers: { cookie: sent } }, at);
    expect(explanation.pin).toMatchObject({ received: sentence, version: null });
    expect(details(explanation, "pin")).toEqual([`rejected: cookie perch-shop is ${sentence} and is ignored`]);
  });
});

describe("explaining", () => {
  it("changes no metric", () => {
    const stats = new StatsRegistry();
    const counted = snapshotOf(shop, { secret, stats });
    const headers = { "x-user-id": ["1", "2"], "x-registered-at": "never", cookie: "perch-shop=forged" };
    explainRequest(counted, { url: api, headers }, { nowMs, random });
    expect(stats.counts()).toEqual(noCounts);
  });

  it("lists exactly the routes that the route table skips", () => {
    const part = fc.constantFrom("a", "b", "c");
    const match = fc.record({
      hosts: fc.array(part, { maxLength: 2 }),
      path: fc.option(fc.constantFrom("prefix: /a", "prefix: /", "exact: /a/b", "regex: b$"), { nil: undefined }),
      methods: fc.array(fc.constantFrom("GET", "POST"), { maxLength: 1 }),
      headers: fc.array(part, { maxLength: 1 }),
    });
    const request = fc.record({
      host: part,
      path: fc.constantFrom("/a", "/a/b", "/ab", "/"),
      method: fc.constantFrom("GET", "POST"),
      header: part,
    });
    fc.assert(
      fc.property(
        fc.array(match, { minLength: 1, maxLength: 4 }),
        request,
        (matches, { host, path, method, header }) => {
          const routes = matches.map(({ hosts, path: wanted, methods, headers }, at) => {
            const parts = [
              hosts.length === 0 ? "" : `hosts: [${hosts}], `,
              wanted === undefined ? "" : `path: { ${wanted} }, `,
              methods.length === 0 ? "" : `methods: [${methods}], `,
              headers.length === 0 ? "" : `headers: { x: ${headers} }`,
            ];
            return `  - { name: r${at}, match: { ${parts.join("")} }, service: s }`;
          });
          const yaml = `services: { s: { versions: { v: { endpoints: ["http://a:1"] } } } }\nroutes:\n${routes.join("\n")}`;
          const explanation = explainRequest(
            snapshotOf(yaml, { secret }),
            { url: path, method, headers: { host, x: header } },
            { nowMs, random },
          );
          const missed = explanation.trail.filter(
            ({ stage, outcome }) => stage === "route" && outcome === "not-matched",
          );
          const taken = explanation.route === null ? matches.length : Number(explanation.route.slice(1));
          expect(missed).toHaveLength(taken);
        },
      ),
      { numRuns: 100 },
    );
  });
});
