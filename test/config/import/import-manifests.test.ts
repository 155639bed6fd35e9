import { describe, expect, test } from "vitest";
import { importManifests } from "../../../src/config/import/import-manifests.ts";
import { parseManifests } from "../../../src/config/import/manifests.ts";
import { imported } from "./asked.ts";
import { importedRoutes, route } from "./gateway-api/manifests.ts";
import { ingress } from "./ingress/ingresses.ts";

const httpRoute = (rules: readonly string[], name = "shop") => `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: shop }
spec: { hostnames: [shop.example.com], rules: [${rules.join(", ")}] }
`;

const to = (...backends: readonly string[]) => `backendRefs: [${backends.join(", ")}]`;
const shop = to("{ name: shop, port: 80 }");
const path = (value: string, type = "PathPrefix") => `matches: [{ path: { type: ${type}, value: "${value}" } }]`;

describe("the written file", () => {
  const split = httpRoute([
    `{ ${to("{ name: shop, port: 80, weight: 9 }", "{ name: shop-canary, port: 80, weight: 1 }")} }`,
  ]);

  test("serves probes and metrics to other machines", () => {
    expect(imported(split).config).toMatch(/^admin:\n {2}address: \S+:9901"?\n {2}withoutToken: probes-and-metrics$/m);
  });

  test("signs the pins of each release with a secret that outlives the process, and says how to try it", () => {
    const { config } = imported(split);
    expect(config).toContain("secretFile: /run/secrets/perch/sticky-secret");
    expect(config).toContain("head -c 32 /dev/urandom | base64 > sticky-secret");
  });

  test("keeps a cookie's other settings beside the secret", () => {
    const session = split.replace("{ backendRefs", "{ sessionPersistence: { sessionName: mine }, backendRefs");
    expect(imported(session).config).toMatch(/name: mine\n\s+maxAge: session\n\s+secretFile:/);
  });

  test("has no anchors, though two routes have the same settings", () => {
    const filters = "filters: [{ type: RequestRedirect, requestRedirect: { hostname: new.example.com } }]";
    const { config } = imported(httpRoute([`{ ${path("/a")}, ${filters} }`, `{ ${path("/b")}, ${filters} }`]));
    expect(config.match(/host: new\.example\.com/g)).toHaveLength(2);
    expect(config).not.toMatch(/(?:^|\s)[&*][a-z0-9]/m);
  });
});

describe("the summary", () => {
  const source = httpRoute([
    `{ ${path("/a")}, filters: [{ type: ExtensionRef }], ${shop} }`,
    `{ matches: [{ path: { type: RegularExpression, value: "(?=x)" } }], ${shop} }`,
    `{ ${path("no-slash", "Exact")}, ${shop} }`,
  ]);

  test("counts routes, what was left out, and lost protections", () => {
    const result = importManifests([{ file: "x.yaml", text: source }]);
    expect(result.ok && result.summary).toEqual({ routes: 1, leftOut: 2, lostProtections: 1 });
  });

  test("stands behind the notes at the top of the file", () => {
    const { config } = imported(source);
    const [header = ""] = config.split("\n\n");
    expect(header.split("\n").at(-1)).toBe("# 1 route imported, 2 left out, 1 protection lost.");
  });
});

describe("a route that Perch would not accept is left out by name, with the route that may serve its requests", () => {
  const refused = `{ ${path(`/${"a".repeat(3_000)}`, "Exact")}, ${shop} }`;

  test.each([
    ["a broader route", path("/"), "its requests may reach the route shop-2"],
    ["a route of another path", path("/other"), "no other route matches its requests"],
  ])("%s", (_what, other, instead) => {
    const odd = `{ matches: [{ method: "NOT A METHOD", path: { value: /api } }], ${shop} }`;
    const { notes, config } = imported(httpRoute([odd, `{ ${other}, ${shop} }`]));
    expect(notes.join("\n")).toMatch(new RegExp(`the route shop(-2)? is left out, as .*; ${instead}`));
    expect(config.match(/- name: shop/g)).toHaveLength(1);
  });

  test("a path that no request can have, which only shows when the result is loaded", () => {
    const { notes, config } = imported(httpRoute([`{ ${path("/a%00b")}, ${shop} }`, `{ ${shop} }`]));
    expect(notes.join("\n")).toContain("is not a valid path: requests with it are rejected; its requests may reach");
    expect(config.match(/- name: shop/g)).toHaveLength(1);
  });

  test("one of a service without a usable endpoint", () => {
    const { notes } = imported(httpRoute([`{ ${path("/a")}, ${to("{ name: shop, port: 99999 }")} }`, `{ ${shop} }`]));
    expect(notes.join("\n")).toMatch(/the route shop is left out, as its service has no usable endpoint/);
  });

  describe("one whose listener has no valid port", () => {
    const gateway = (ports: readonly number[]) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge, namespace: shop }
spec: { listeners: [${ports.map((port) => `{ name: at-${port}, port: ${port}, protocol: HTTP }`).join(", ")}] }
`;
    const attached = (rules: readonly string[]) =>
      httpRoute(rules).replace("spec: {", "spec: { parentRefs: [{ name: edge }],");
    const listenerNote = "Gateway shop/edge: the listener port-70000 is left out: 70000 is not a port";

    test("the object of the listener is named", () => {
      const result = importManifests([{ file: "x.yaml", text: gateway([70_000]) + attached([`{ ${shop} }`]) }]);
      expect(result.ok).toBe(false);
      const notes = result.notes.map(({ where, what }) => `${where}: ${what}`).join("\n");
      expect(notes).toContain(listenerNote);
      expect(notes).toContain(
        "HTTPRoute shop/shop: the route shop is left out, as its listener port-70000 is left out; no other route",
      );
    });

    test("on the other listeners the route stays", () => {
      const { config, notes } = imported(gateway([8_000, 70_000]) + attached([`{ ${shop} }`]));
      expect(notes.join("\n")).toContain(listenerNote);
      expect(config).toMatch(/listeners: \[ port-8000 \]/);
      expect(config).not.toContain("name: port-70000");
    });
  });

  test("nothing is left", () => {
    const result = importManifests([{ file: "x.yaml", text: httpRoute([refused]) }]);
    expect(result.ok).toBe(false);
  });
});

describe("versions", () => {
  test.each([
    ["a single Service that is the canary", ["{ name: shop-canary, port: 80 }"], "shop-canary/canary"],
    ["a single Service", ["{ name: shop, port: 80 }"], "shop/stable"],
    ["a single Service of a version", ["{ name: shop-v2, port: 80 }"], "shop-v2/v2"],
  ])("%s", (_what, backends, served) => {
    expect(imported(httpRoute([`{ ${to(...backends)} }`])).served({})).toBe(served);
  });

  test.each([
    [
      "the stable one",
      "{ name: shop-canary, port: 80, weight: 90 }",
      "{ name: shop-stable, port: 80, weight: 10 }",
      "stable",
    ],
    ["else the heaviest", "{ name: shop-v2, port: 80, weight: 10 }", "{ name: shop-v1, port: 80, weight: 90 }", "v1"],
  ])("the default version is %s, wherever it stands", (_what, first, second, wanted) => {
    const { config } = imported(httpRoute([`{ ${to(first, second)} }`]));
    expect(config).toMatch(new RegExp(`versions:\\n {6}${wanted}:`));
  });

  test("services with the same weights have releases of their own", () => {
    const pair = (name: string) => to(`{ name: ${name}-a, port: 80 }`, `{ name: ${name}-b, port: 80 }`);
    const { config } = imported(httpRoute([`{ ${path("/x")}, ${pair("x")} }`, `{ ${path("/y")}, ${pair("y")} }`]));
    expect(config.match(/^ {4}release: \S+|^ {2}\S+:\n {4}sticky/gm)).toHaveLength(4);
    expect(config).toContain("release: shop-2");
  });
});

describe("ports that only the Service knows", () => {
  const virtualService = (host: string) => `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: bookinfo }
spec: { hosts: [reviews.example.com], http: [{ route: [{ destination: { host: ${host} } }] }] }
`;
  const service = (namespace: string) => `
---
apiVersion: v1
kind: Service
metadata: { name: reviews${namespace} }
spec: { ports: [{ name: http, port: 9080 }] }
`;

  test.each([
    ["of its namespace", service(", namespace: bookinfo"), "reviews"],
    ["of a file that is applied to a namespace", service(""), "reviews.bookinfo.svc.cluster.local"],
  ])("the only port of the Service %s", (_what, yaml, host) => {
    const { config, notes } = imported(virtualService(host) + yaml);
    expect(config).toContain("http://reviews.bookinfo:9080");
    expect(notes).toEqual([]);
  });

  test("a Service of the same name in another namespace is another one", () => {
    expect(imported(virtualService("reviews") + service(", namespace: other")).config).toContain(":80");
  });
});

test("no note is longer than its limit", () => {
  const { notes } = imported(httpRoute([`{ filters: [{ type: ${"X".repeat(5_000)} }], ${shop} }`]));
  expect(Math.max(...notes.map((note) => note.length))).toBeLessThanOrEqual(600 + "HTTPRoute shop/shop: ".length);
});

test("a manifest knows its API version, its age, and whether it names its namespace", () => {
  const parsed = parseManifests(
    '{ "apiVersion": "apps/v1", "kind": "X", "metadata": { "name": "a", "creationTimestamp": "2026-01-01T00:00:00Z" } }',
    "x.json",
  );
  const [manifest] = parsed.ok ? parsed.manifests : [];
  expect(manifest).toMatchObject({ group: "apps", version: "v1", createdAt: "2026-01-01T00:00:00Z" });
  expect(manifest?.hasNamespace).toBe(false);
});

describe("routes of several gateways", () => {
  const hostless = route("any", ["{ backendRefs: [{ name: any, port: 80 }] }"], { parents: "[{ name: missing }]" });
  const ofIngress = ingress("shop", {}, [{ path: "/api", service: "shop" }]);
  const { notes, routeOf } = importedRoutes(ofIngress, hostless);

  test("have listeners of their own, so that none takes requests of another gateway", () => {
    const [note = "", ...others] = notes.filter((one) => one.includes("several gateways"));
    const [, ofNginx = "", ofGateway = ""] = /ingress-nginx: (\S+); Gateway API: (\S+)\)/.exec(note) ?? [];
    expect([others, ofNginx === ofGateway]).toEqual([[], false]);
    expect(routeOf({ listener: ofNginx, url: "/api" })).toBe("shop");
    expect(routeOf({ listener: ofNginx, url: "/secret" })).toBeNull();
    expect(routeOf({ listener: ofGateway, url: "/api" })).toBe("any");
  });

  test("of one gateway have none", () => {
    const alone = importedRoutes(ofIngress);
    expect(alone.routeOf({ url: "/api" })).toBe("shop");
    expect(alone.config).not.toContain("listeners");
  });
});
