import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { gateway, gatewayClass, grant, type RouteParts, route, service, to } from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";
import { temporaryFolder } from "../../../kit/served.ts";
import { compiled } from "./compiled.ts";

const services = ["shop-stable", "shop-canary", "shop", "cart", "cart-canary", "exp-7f"].map((name) =>
  service(name, 80),
);
const base = [gatewayClass(), gateway("web"), ...services];

interface ReleasePart {
  readonly split?: Readonly<Record<string, number>>;
  readonly sticky?: object;
}
interface ServicePart {
  readonly versions: Readonly<Record<string, unknown>>;
}

function parts(...objects: readonly DraftObject[]) {
  const { services: made, releases, routes } = compiled([...base, ...objects]).parts;
  return {
    services: made as Readonly<Record<string, ServicePart>>,
    releases: releases as Readonly<Record<string, ReleasePart>>,
    routes: routes as readonly { readonly name: string; readonly service?: string; readonly release?: string }[],
  };
}

const refs = (stable: number, canary: number) => [to("shop-stable", 80, stable), to("shop-canary", 80, canary)];
const shop = (stable: number, canary: number, given: RouteParts = {}) =>
  route("shop", [{ backendRefs: refs(stable, canary) }], given);

describe("weights", () => {
  const all = [
    [100, 0],
    [90, 10],
    [50, 50],
    [10, 90],
    [0, 100],
  ] as const;
  test.each(all)("%i and %i: only the split differs", (stable, canary) => {
    const { releases, ...others } = parts(shop(stable, canary));
    const { releases: _, ...before } = parts(shop(100, 0));
    expect(others).toEqual(before);
    expect(releases).toEqual({ "shop-shop": { split: { stable, canary } } });
  });

  test("all zero: the names stay, and all requests get an error", () => {
    const { services: made, releases, routes } = parts(shop(0, 0));
    expect(made).toEqual(parts(shop(100, 0)).services);
    expect(Object.keys(releases)).toEqual(["shop-shop"]);
    expect(routes).toMatchObject([{ service: "shop-shop", release: "shop-shop", fault: { abort: { status: 500 } } }]);
  });

  test("the heavier backend does not become the default: the one that says that it is stable is", () => {
    const reversed = route("shop", [{ backendRefs: [to("shop-canary", 80, 90), to("shop-stable", 80, 10)] }]);
    expect(Object.keys(parts(reversed).services["shop-shop"]?.versions ?? {})).toEqual(["stable", "canary"]);
    const unnamed = route("cart", [{ backendRefs: [to("cart", 80, 10), to("cart-canary", 80, 90)] }]);
    expect(Object.keys(parts(unnamed).services["shop-cart"]?.versions ?? {})).toEqual(["cart", "canary"]);
  });

  test("of one Service that is named twice add up", () => {
    const twice = route("shop", [{ backendRefs: [...refs(1, 1), to("shop-canary", 80, 2)] }]);
    expect(parts(twice).releases["shop-shop"]?.split).toEqual({ stable: 1, canary: 3 });
  });
});

describe("a Service that a rule names twice with different edits", () => {
  const edited = (value: string, weight: number) =>
    to("shop-stable", 80, weight, {
      filters: [{ type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name: "x-version", value }] } }],
    });
  const made = (...backendRefs: readonly object[]) => {
    const { services: some, releases } = parts(route("shop", [{ backendRefs }]));
    return { versions: some["shop-shop"]?.versions, split: releases["shop-shop"]?.split };
  };
  const named = "shop-stable";

  test("is two versions, each with its own", () => {
    expect(made(edited("a", 1), edited("b", 9))).toMatchObject({
      versions: {
        stable: { requestHeaders: { set: { "x-version": "a" } } },
        [named]: { requestHeaders: { set: { "x-version": "b" } } },
      },
      split: { stable: 1, [named]: 9 },
    });
  });

  test("keeps the names of these where an edit or a weight changes", () => {
    const { versions = {}, split } = made(edited("c", 5), edited("d", 0));
    expect(Object.keys(versions)).toEqual(["stable", named]);
    expect(split).toEqual({ stable: 5, [named]: 0 });
  });

  test("with the same edits is one version", () => {
    expect(made(edited("a", 1), edited("b", 9), edited("a", 2), to("shop-canary", 80, 3)).split).toEqual({
      stable: 3,
      [named]: 9,
      canary: 3,
    });
  });
});

describe("a release", () => {
  const rule = (path: string, stable: number, canary: number, more: object = {}) => ({
    matches: [{ path: { value: path } }],
    backendRefs: refs(stable, canary),
    ...more,
  });

  describe("keeps its name, whatever other rules have", () => {
    const at = (path: string, ...backendRefs: readonly object[]) => ({
      matches: [{ path: { value: path } }],
      backendRefs,
    });
    const cart = [to("cart", 80, 1), to("cart-canary", 80, 1)];
    const header = (...backendRefs: readonly object[]) => ({
      name: "canary-header",
      matches: [{ path: { value: "/" }, headers: [{ name: "x-tester", value: "yes" }] }],
      backendRefs,
    });
    const ofRoute = (rules: readonly object[], prefix: string) => {
      const { routes } = parts(route("shop", rules));
      return routes.find(({ name }) => name.startsWith(prefix))?.release;
    };
    const cases: readonly [sentence: string, rule: object, others: readonly (readonly object[])[], name: string][] = [
      [
        "a rule of all requests",
        at("/", ...refs(1, 1)),
        [
          [],
          [at("/cart", to("cart", 80))],
          [at("/cart", ...cart)],
          [header(to("shop-canary", 80))],
          [at("/a/longer/path", ...cart), header(...cart)],
        ],
        "shop-shop",
      ],
      [
        "another one",
        at("/cart", ...cart),
        [
          [],
          [at("/beside", to("shop", 80))],
          [
            {
              matches: [{ path: { value: "/old" } }],
              filters: [{ type: "RequestRedirect", requestRedirect: { hostname: "a.test" } }],
            },
          ],
          [at("/", to("shop", 80))],
          [at("/", ...refs(1, 1))],
          [at("/", to("cart", 80))],
          [at("/cart/items", to("cart", 80), to("shop", 80)), at("/", to("shop", 80))],
          [at("/cart/items", to("cart", 80), to("shop", 80)), at("/", to("shop", 80)), at("/car", to("cart", 80))],
          [at("/", to("shop", 80)), at("/car", to("cart", 80), to("shop", 80))],
        ],
        "shop-shop-cart-cart-canary",
      ],
    ];
    const orders = (rule: object, others: readonly object[]) => [
      [rule, ...others],
      [...others, rule],
    ];
    test.each(cases)("%s", (_sentence, rule, sets, name) => {
      const named = { ...rule, name: "own" };
      const found = sets.flatMap((others) => orders(named, others).map((rules) => ofRoute(rules, "shop-shop-own")));
      expect(new Set(found)).toEqual(new Set([name]));
    });

    test("a rule without matches has that of the route too", () => {
      const all = parts(route("shop", [{ backendRefs: refs(1, 1) }]));
      expect(all.routes.map(({ release }) => release)).toEqual(["shop-shop"]);
      const calls = parts(route("shop", [{ backendRefs: refs(1, 1) }], { kind: "GRPCRoute" }));
      expect(calls.routes.map(({ release }) => release)).toEqual(["shop-shop"]);
    });
  });

  test("is that of all rules with the same backends and weights", () => {
    const { routes, releases } = parts(route("shop", [rule("/api", 90, 10), rule("/", 90, 10)]));
    expect(routes.map(({ release }) => release)).toEqual(["shop-shop", "shop-shop"]);
    expect(Object.keys(releases)).toEqual(["shop-shop"]);
  });

  test("of the last rule keeps its name where others have other weights, or come and go", () => {
    const { releases } = parts(route("shop", [rule("/vip", 0, 100, { name: "vip" }), rule("/", 90, 10)]));
    expect(releases).toEqual({
      "shop-shop": { split: { stable: 90, canary: 10 } },
      "shop-shop-vip-rule": { split: { stable: 0, canary: 100 } },
    });
  });

  test("keeps its name and versions where a backend is added, as for an experiment", () => {
    const withMore = route("shop", [{ backendRefs: [...refs(80, 10), to("exp-7f", 80, 10)] }]);
    const { services: made, releases } = parts(withMore);
    expect(releases).toEqual({ "shop-shop": { split: { stable: 80, canary: 10, "exp-7f": 10 } } });
    expect(Object.keys(made["shop-shop"]?.versions ?? {})).toEqual(["stable", "canary", "exp-7f"]);
  });

  test("keeps its name where a backend does not exist yet", () => {
    const missing = route("shop", [{ backendRefs: [to("shop-stable", 80, 90), to("gone", 80, 10)] }]);
    const { routes, services: made } = parts(missing);
    expect(routes).toMatchObject([
      { service: "shop-shop", release: "shop-shop", fault: { abort: { status: 500, percent: 10 } } },
    ]);
    expect(Object.keys(made)).toEqual(["shop-shop"]);
  });

  test("is not there for a rule with one backend, unless its sessions are kept", () => {
    expect(parts(route("shop", [{ backendRefs: [to("shop", 80)] }])).releases).toEqual({});
    const kept = { backendRefs: [to("shop", 80)], sessionPersistence: { sessionName: "sid" } };
    expect(parts(route("shop", [kept])).releases).toEqual({
      "shop-shop": {
        sticky: { whenWeightsChange: "hold", onWeightZero: "drain", cookie: { name: "sid", maxAge: "session" } },
      },
    });
  });

  test("has a cookie of its own, where two routes name the same", () => {
    const kept = (canary: string) => ({
      backendRefs: [to("shop", 80, 1), to(canary, 80, 1)],
      sessionPersistence: { sessionName: "sid" },
    });
    const result = compiled([
      ...base,
      route("one", [kept("shop-canary")], { hostnames: ["one.test"] }),
      route("two", [kept("cart")], { hostnames: ["two.test"] }),
    ]);
    expect(Object.keys(result.parts.releases)).toEqual(["shop-one", "shop-two"]);
    expect(result.notes.join()).toContain("another release has the cookie sid already");
  });
});

describe("names", () => {
  const elsewhere = [
    service("shop-stable", 80, { namespace: "other" }),
    service("shop-canary", 80, { namespace: "other" }),
    gateway("web", undefined, { namespace: "other", created: "2026-02-01T00:00:00Z" }),
  ];

  test("of versions are told apart, however their Services are called", () => {
    const ports = [80, 81].map((port) => ({ name: `p${port}`, port }));
    const named = route("r", [
      {
        backendRefs: [
          to("foo", 80, 50),
          to("foo", 81, 30),
          to("shop-foo-80", 80, 20),
          to("shop-v3", 80, 1),
          to("v1", 80, 1),
        ],
      },
    ]);
    const others = ["shop-foo-80", "shop-v3", "v1"].map((name) => service(name, 80));
    const { services: made, releases } = parts(service("foo", 80, { more: { ports } }), ...others, named);
    const versions = Object.keys(made["shop-foo"]?.versions ?? {});
    expect(versions).toHaveLength(5);
    expect(Object.keys(releases["shop-r"]?.split ?? {}).toSorted()).toEqual(versions.toSorted());
    expect(Object.values(releases["shop-r"]?.split ?? {}).toSorted()).toEqual([1, 1, 20, 30, 50]);
    expect(versions).toEqual(expect.arrayContaining(["shop-foo-81", "v3", "v1"]));
  });

  test("of versions stay where a backend is added that wants the same", () => {
    const added = route("shop", [{ backendRefs: [...refs(80, 10), to("cart-canary", 80, 10)] }]);
    expect(parts(added).releases["shop-shop"]?.split).toEqual({ stable: 80, canary: 10, "cart-canary": 10 });
  });

  test("of objects that want the same: the older one has it, the other keeps its own", () => {
    const objects = [
      service("app", 80, { namespace: "a-b" }),
      service("app-canary", 80, { namespace: "a-b" }),
      service("b-app", 80, { namespace: "a" }),
      service("b-app-canary", 80, { namespace: "a" }),
    ];
    const one = (name: string, namespace: string, created: string, hostnames: readonly string[]) =>
      route(name, [{ backendRefs: [to(name, 80, 1), to(`${name}-canary`, 80, 1)] }], {
        namespace,
        created,
        hostnames,
        parents: [{ name: "web", namespace: "shop" }],
      });
    const open = gateway("web", [
      { name: "http", port: 80, protocol: "HTTP", allowedRoutes: { namespaces: { from: "All" } } },
    ]);
    const old = one("app", "a-b", "2026-02-01T00:00:00Z", ["z.test"]);
    const young = one("b-app", "a", "2026-02-02T00:00:00Z", ["a.test"]);
    const releasesOf = (...routes: readonly DraftObject[]) =>
      Object.keys(compiled([gatewayClass(), open, ...objects, ...routes]).parts.releases);
    expect(releasesOf(old)).toEqual(["a-b-app"]);
    const both = releasesOf(young, old);
    expect(both[0]).toBe("a-b-app");
    expect(both[1]).toMatch(/^a-b-app-[0-9a-f]{8}$/);
  });

  test("of rules that are called like others of their route", () => {
    const paths = ["/a", "/b"].map((value) => ({ path: { value } }));
    const named = (name: string, value: string, weight: number) => ({
      name,
      matches: [{ path: { value } }],
      backendRefs: refs(weight, 1),
    });
    const rules = [
      { matches: paths, backendRefs: refs(1, 1) },
      { matches: [{ path: { value: "/c" } }], backendRefs: refs(2, 1) },
      named("m2", "/d", 3),
      named("2", "/e", 4),
    ];
    const result = compiled([...base, route("shop", rules)]);
    expect(result.loads).toBe(1);
    expect(new Set(result.parts.routes.map((one) => (one as { name: string }).name)).size).toBe(5);
    expect(Object.keys(result.parts.releases)).toHaveLength(4);
  });

  test("do not collide with those of the file", () => {
    const file = `
services: { shop-shop: { versions: { only: { endpoints: ["http://127.0.0.1:1"] } } } }
releases: { shop-shop: {} }
routes: [{ name: shop-shop, match: { hosts: [file.test] }, service: shop-shop, release: shop-shop }]
`;
    const { parts: made } = compiled([...base, shop(1, 1)], { file });
    expect(Object.keys(made.services)[0]).toMatch(/^shop-shop-[0-9a-f]{8}$/);
    expect(Object.keys(made.releases)[0]).toMatch(/^shop-shop-[0-9a-f]{8}$/);
  });

  test("are those of the backends' namespaces, which a grant opens", () => {
    const allowed = grant("other", { kind: "HTTPRoute", namespace: "shop" }, { kind: "Service" });
    const there = (name: string, weight: number) => to(name, 80, weight, { namespace: "other" });
    const across = route("shop", [{ backendRefs: [there("shop-stable", 1), there("shop-canary", 0)] }]);
    const result = compiled([...base, ...elsewhere, allowed, across]);
    expect(Object.keys(result.parts.services)).toEqual(["other-shop"]);
  });
});

test("the secret of pins is that of the settings", async () => {
  const secretFile = join(await temporaryFolder(), "secret");
  await writeFile(secretFile, "a-secret-of-at-least-32-bytes-for-tests");
  const { releases } = compiled([...base, shop(1, 1)], { secretFile }).parts;
  expect(releases).toMatchObject({ "shop-shop": { sticky: { cookie: { secretFile } } } });
});
