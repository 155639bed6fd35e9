import { describe, expect, test } from "vitest";
import type { Condition } from "../../src/decide/condition.ts";
import type { ReleaseSpec } from "../../src/decide/release-spec.ts";
import { describeSpec } from "../../src/upstream/service-spec.ts";
import { changed, compiled, load, problemsOf, validConfig } from "./valid-config.ts";

const smallest = `
services:
  shop: { versions: { "10": { endpoints: ["http://a"] }, "9": { endpoints: ["https://[::1]:8443/", "http://b:8080"] } } }
routes: [{ name: shop, service: shop }]
`;

const only = <T>(items: readonly T[]): T => {
  const [item] = items;
  if (item === undefined || items.length !== 1) throw new Error(`expected one item, found ${items.length}`);
  return item;
};

const releaseOf = (text: string): ReleaseSpec => only(compiled(text).releases);

describe("what a configuration compiles to", () => {
  test("omitted keys have defaults", () => {
    const { services, routes, ...rest } = compiled(smallest);
    expect(rest).toEqual({
      listeners: [
        { name: "web", address: { host: "*", port: 8080 }, proxyProtocol: false, h2c: false, tls: undefined },
      ],
      admin: { host: "127.0.0.1", port: 9901 },
      adminAccess: { tokens: [], withoutToken: "probes-and-metrics" },
      workers: 1,
      trustedProxies: [],
      trustUnixSockets: false,
      exposeVersion: false,
      pathNormalisation: "on",
      pathParameters: "refuse-leading",
      fastLane: "on",
      accessLog: { sample: 1 },
      limits: {
        headerBytes: 32_768,
        headerCount: 100,
        uriBytes: 8_192,
        cookies: 200,
        bodyBytes: 0,
        streams: 100,
        requestsPerConnection: Number.POSITIVE_INFINITY,
        connections: "auto",
        connectionsPerAddress: Number.POSITIVE_INFINITY,
        inFlight: Number.POSITIVE_INFINITY,
        loopDelayMs: Number.POSITIVE_INFINITY,
      },
      dns: { servers: [], minTtlMs: 5_000, maxTtlMs: 300_000 },
      attributes: [],
      releases: [],
      mirrors: [],
      unsignedReleases: [],
      versionEdits: [],
      files: [],
    });
    expect(only(routes)).toEqual({
      name: "shop",
      match: { listeners: [], hosts: [], scheme: undefined, path: undefined, methods: [], headers: [], query: [] },
      service: "shop",
      release: undefined,
      mirror: "on",
      pathNormalisation: "on",
      sharedCache: "private",
      rewrite: undefined,
      redirect: undefined,
      headers: { request: undefined, response: undefined },
      timeouts: {},
      bodyBytes: undefined,
      rateLimit: undefined,
      fault: undefined,
    });
    expect(only(services).timeouts).toEqual({
      connectMs: 2_000,
      responseHeadersMs: 30_000,
      idleMs: 60_000,
      totalMs: 0,
    });
  });

  test("the first version in the file is the default, even if names look like numbers", () => {
    const service = only(compiled(smallest).services);
    expect(service.defaultVersion).toBe("10");
    expect(service.versions.map((version) => version.name)).toEqual(["10", "9"]);
  });

  test("endpoints have explicit ports", () => {
    const origins = only(compiled(smallest).services).versions.map((version) => version.endpoints.map(describeSpec));
    expect(origins).toEqual([["http://a:80"], ["https://[::1]:8443", "http://b:8080"]]);
  });

  test("an empty release has all defaults", () => {
    const text = `${smallest.replace("service: shop }]", "service: shop, release: r }]")}releases: { r: {} }\n`;
    const release = releaseOf(text);
    expect(release).toEqual({
      name: "r",
      versions: ["10", "9"],
      sticky: {
        by: undefined,
        salt: "",
        whenWeightsChange: "follow",
        onWeightZero: "evict",
        epoch: 1,
        assets: "independent",
        fetches: "independent",
        assetPaths: [],
        cookie: {
          name: "perch-r",
          maxAgeMs: 2_592_000_000,
          path: "/",
          domain: undefined,
          secure: "auto",
          sameSite: "lax",
          partitioned: false,
          secrets: [Buffer.from("random secret of r".padEnd(32, "."))],
        },
      },
      override: undefined,
      rules: [],
      split: undefined,
    });
    expect(compiled(text).unsignedReleases).toEqual(["r"]);
  });

  test("a release's versions are those it names, then those of its services", () => {
    const text = changed("      stable: {", '      v3: { endpoints: ["http://v3"] }\n      stable: {');
    expect(releaseOf(text).versions).toEqual(["canary", "stable", "v3"]);
  });

  test("names of headers are in lower case, those of cookies as written", () => {
    const { attributes } = compiled(changed("{ cookie: uid }", "{ cookie: UID }"));
    expect(attributes[0]).toEqual({
      name: "userId",
      type: "string",
      from: [
        { kind: "header", name: "x-user-id", trust: "anyone" },
        { kind: "cookie", name: "UID", trust: "anyone" },
      ],
    });
    expect(attributes[2]?.from).toEqual([{ kind: "header", name: "x-staff", trust: "proxies" }]);
    expect(attributes[5]?.from).toEqual([{ kind: "clientAddress" }]);
  });

  test("secure accepts words and booleans", () => {
    const secureOf = (written: string) =>
      releaseOf(changed("path: /,", `path: /, secure: ${written},`)).sticky.cookie.secure;
    expect(["auto", "true", "always", "false", "never"].map(secureOf)).toEqual([
      "auto",
      "always",
      "always",
      "never",
      "never",
    ]);
  });

  test("a cookie's domain loses its leading dot and is in lower case", () => {
    expect(releaseOf(changed("path: /,", "path: /, domain: .Shop.Example.com,")).sticky.cookie.domain).toBe(
      "shop.example.com",
    );
  });

  test("variables may give values of any type", () => {
    const text = changed("canary: 5 }", `canary: "\${WEIGHT}" }`).replace("0.0.0.0:8080", `0.0.0.0:\${PORT}`);
    expect(releaseOf(text).split).toEqual({ stable: 95, canary: 5 });
    expect(compiled(text).listeners[0]?.address).toEqual({ host: "0.0.0.0", port: 9090 });
  });

  test("weights have no prototype: a pin's `constructor` is not a weight", () => {
    expect(Object.getPrototypeOf(releaseOf(validConfig).split)).toBeNull();
  });

  test("everything is deep-frozen", () => {
    const unfrozen: unknown[] = [];
    const visit = (value: unknown): void => {
      if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== Array.prototype && prototype !== null) return;
      if (!Object.isFrozen(value)) unfrozen.push(value);
      Object.values(value).forEach(visit);
    };
    visit(compiled(validConfig));
    expect(unfrozen).toEqual([]);
  });
});

describe("routes", () => {
  test("that all redirect need no services", () => {
    const { services, routes } = compiled("routes: [{ name: away, redirect: { host: new.example } }]");
    expect([services.length, routes.length]).toEqual([0, 1]);
  });

  test("to a service need it, if the map of services is empty as well", () => {
    for (const services of ["", "services: {}\n"]) {
      expect(problemsOf(load(`${services}routes: [{ name: shop, service: shop }]`)).join()).toContain(
        'unknown service "shop"',
      );
    }
  });

  const match = "{ hosts: [shop.example.com], path: { prefix: /api } }";
  const matchOf = (written: string) => compiled(changed(match, written)).routes[0]?.match;

  test("hosts are in lower case, without a trailing dot, and unique", () => {
    const hosts = '["*.Shop.Example.com", shop.example.com., SHOP.example.com, "[::1]", 10.0.0.1]';
    expect(matchOf(`{ hosts: ${hosts} }`)?.hosts).toEqual([
      "*.shop.example.com",
      "shop.example.com",
      "[::1]",
      "10.0.0.1",
    ]);
  });

  test("methods are in upper case", () => {
    expect(matchOf("{ methods: [get, GET, pROPFIND] }")?.methods).toEqual(["GET", "PROPFIND"]);
  });

  test("paths", () => {
    expect(matchOf("{ path: { exact: /a%20b } }")?.path).toEqual({ kind: "exact", path: "/a%20b" });
    expect(matchOf("{ path: { prefix: /api/ } }")?.path).toEqual({ kind: "prefix", path: "/api/" });
    const path = matchOf("{ path: { regex: '^/v[0-9]+/' } }")?.path;
    expect(path?.kind === "regex" && path.pattern.test("/v12/x")).toBe(true);
    expect(path?.kind === "regex" && path.pattern.test("/w12/x")).toBe(false);
  });

  test("tests on headers and query parameters", () => {
    const found = matchOf("{ headers: { X-A: 1.10, x-b: { exists: false } }, query: { Lang: [en, zh] } }");
    expect(found?.headers).toEqual([
      { name: "x-a", test: { op: "equals", value: "1.10" } },
      { name: "x-b", test: { op: "exists", wanted: false } },
    ]);
    expect(found?.query).toEqual([{ name: "Lang", test: { op: "in", values: ["en", "zh"] } }]);
  });
});

const day = 86_400_000;
const text = (test: object): Condition =>
  ({ kind: "test", subject: { kind: "attribute", index: 0, name: "userId" }, test }) as Condition;
const number = (test: object): Condition =>
  ({ kind: "test", subject: { kind: "attribute", index: 1, name: "orders" }, test }) as Condition;
const time = (test: object): Condition =>
  ({ kind: "test", subject: { kind: "attribute", index: 3, name: "since" }, test }) as Condition;

/** A condition as written, and what it compiles to. */
const conditions: readonly (readonly [string, unknown])[] = [
  ["{}", { kind: "all", of: [] }],
  ["{ userId: 1.10 }", text({ op: "equals", value: "1.10" })],
  ["{ userId: 007 }", text({ op: "equals", value: "007" })],
  ["{ userId: true }", text({ op: "equals", value: "true" })],
  ["{ userId: [1, b] }", text({ op: "in", values: ["1", "b"] })],
  ["{ userId: { equals: '' } }", text({ op: "equals", value: "" })],
  ["{ userId: { in: [a] } }", text({ op: "in", values: ["a"] })],
  ["{ userId: { prefix: a } }", text({ op: "prefix", texts: ["a"] })],
  ["{ userId: { suffix: [a, b] } }", text({ op: "suffix", texts: ["a", "b"] })],
  ["{ userId: { contains: a } }", text({ op: "contains", texts: ["a"] })],
  ["{ userId: { exists: false } }", text({ op: "exists", wanted: false })],
  ["{ orders: 1e3 }", number({ op: "equals", value: 1000 })],
  ["{ orders: { before: 3 } }", number({ op: "before", bound: 3 })],
  ["{ orders: { atMost: -0.5 } }", number({ op: "atMost", bound: -0.5 })],
  ["{ orders: { between: [1, 2] } }", number({ op: "between", low: 1, high: 2 })],
  [
    "{ orders: { after: 1, atMost: 3 } }",
    { kind: "all", of: [number({ op: "after", bound: 1 }), number({ op: "atMost", bound: 3 })] },
  ],
  ["{ since: { after: 2026-01-01 } }", time({ op: "after", bound: Date.UTC(2026, 0, 1) })],
  ["{ since: { before: 2026-01-01T08:00:00+08:00 } }", time({ op: "before", bound: Date.UTC(2026, 0, 1) })],
  ["{ since: { atLeast: 1767225600 } }", time({ op: "atLeast", bound: Date.UTC(2026, 0, 1) })],
  ["{ since: { within: 30d } }", time({ op: "within", ms: 30 * day })],
  ["{ since: { olderThan: 1h30m } }", time({ op: "olderThan", ms: 5_400_000 })],
  ["{ percent: 2.5 }", { kind: "percent", percent: 2.5, seed: undefined }],
  ["{ percent: 10, seed: s }", { kind: "percent", percent: 10, seed: "s" }],
  ["{ percent: { of: 10, seed: 1.10 } }", { kind: "percent", percent: 10, seed: "1.10" }],
  ["{ method: get }", { kind: "test", subject: { kind: "method" }, test: { op: "equals", value: "GET" } }],
  [
    "{ host: { suffix: .Example.com } }",
    { kind: "test", subject: { kind: "host" }, test: { op: "suffix", texts: [".example.com"] } },
  ],
  ["{ path: { prefix: /API } }", { kind: "test", subject: { kind: "path" }, test: { op: "prefix", texts: ["/API"] } }],
  [
    "{ header: { X-Beta: b, x-c: c } }",
    {
      kind: "all",
      of: [
        { kind: "test", subject: { kind: "header", name: "x-beta" }, test: { op: "equals", value: "b" } },
        { kind: "test", subject: { kind: "header", name: "x-c" }, test: { op: "equals", value: "c" } },
      ],
    },
  ],
  [
    "{ cookie: { Beta: b } }",
    { kind: "test", subject: { kind: "cookie", name: "Beta" }, test: { op: "equals", value: "b" } },
  ],
  [
    "{ query: { Beta: b } }",
    { kind: "test", subject: { kind: "query", name: "Beta" }, test: { op: "equals", value: "b" } },
  ],
  [
    "{ any: [{ userId: a }, { not: { userId: b } }], all: [{ orders: 1 }] }",
    {
      kind: "all",
      of: [
        { kind: "all", of: [number({ op: "equals", value: 1 })] },
        {
          kind: "any",
          of: [text({ op: "equals", value: "a" }), { kind: "not", of: text({ op: "equals", value: "b" }) }],
        },
      ],
    },
  ],
];

describe("conditions", () => {
  const conditionOf = (written: string): Condition => {
    const when = "{ userId: ada, orders: { atLeast: 3 }, staff: true }";
    const [rule] = releaseOf(changed(when, written)).rules;
    if (rule === undefined) throw new Error("the rule is gone");
    return rule.when;
  };

  test.each(conditions)("%s", (written, wanted) => {
    expect(conditionOf(written)).toEqual(wanted);
  });

  test("operands of versions, addresses, patterns and lists match as expected", () => {
    const testOf = (written: string) => {
      const condition = conditionOf(written);
      if (condition.kind !== "test") throw new Error("not one test");
      return condition.test;
    };
    const semver = testOf('{ app: { semver: ">=4.1 <5" } }');
    const version = { major: 4, minor: 2, patch: 0, prerelease: [] };
    expect(semver.op === "semver" && semver.range.test(version)).toBe(true);
    expect(testOf("{ app: v4.2 }")).toEqual({ op: "equals", value: version });
    const cidr = testOf("{ clientAddress: { cidr: [10.0.0.0/8, ::1] } }");
    expect(cidr.op === "cidr" && cidr.ranges.map((range) => range.text)).toEqual(["10.0.0.0/8", "::1/128"]);
    const regex = testOf("{ userId: { regex: '^a+$' } }");
    expect(regex.op === "regex" && regex.pattern.test("aaa")).toBe(true);
    const inFile = testOf("{ userId: { inFile: users.txt } }");
    expect(inFile.op === "inFile" && ["ada", "grace", "# beta", ""].map((user) => inFile.list.has(user))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
