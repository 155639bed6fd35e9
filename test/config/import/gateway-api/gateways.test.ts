import { describe, expect, test } from "vitest";
import { gateway, importedRoutes, route, to } from "./manifests.ts";

const http = "{ name: http, port: 80, protocol: HTTP }";
const https = "{ name: https, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: shop-cert }] } }";
const redirect = "{ filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, statusCode: 301 } }] }";

describe("the listeners of a Gateway", () => {
  const at = (section: string) => `[{ name: gateway, sectionName: ${section} }]`;
  const hostnames = "[shop.example.com]";

  test("sectionName: a redirect on http, the application on https", () => {
    const { routeOf, config } = importedRoutes(
      gateway([http, https]),
      route("app", [`{ backendRefs: [${to("shop")}] }`], { parents: at("https"), hostnames }),
      route("to-https", [redirect], { parents: at("http"), hostnames }),
    );
    expect(routeOf({ listener: "http" })).toBe("to-https");
    expect(routeOf({ listener: "https" })).toBe("app");
    expect(config).toMatch(/certFile: \/etc\/perch\/tls\/shop-shop-cert\/tls\.crt/);
  });

  test("port: the same by number", () => {
    const { routeOf } = importedRoutes(
      gateway([http, https]),
      route("app", [`{ backendRefs: [${to("shop")}] }`], { parents: "[{ name: gateway, port: 443 }]" }),
    );
    expect(routeOf({ listener: "https" })).toBe("app");
    expect(routeOf({ listener: "http" })).toBeNull();
  });

  test("a redirect at both listeners whose age is unknown comes first on http only, so that nothing loops", () => {
    const { routeOf } = importedRoutes(
      gateway([http, https]),
      route("app", [`{ backendRefs: [${to("shop")}] }`], { hostnames }),
      route("to-https", [redirect], { hostnames }),
    );
    expect(routeOf({ listener: "http" })).toBe("to-https");
    expect(routeOf({ listener: "https" })).toBe("app");
  });

  test("an unknown section is left out, and named", () => {
    const { notes, config } = importedRoutes(
      gateway([http]),
      route("app", [`{ backendRefs: [${to("shop")}] }`], { parents: at("other") }),
    );
    expect(config).toBe("");
    expect(notes.join("\n")).toContain("names no listener of Gateway shop/gateway");
  });

  test("without the Gateway, a section is taken by its usual name, and left out otherwise", () => {
    const app = (section: string) =>
      importedRoutes(route("app", [`{ backendRefs: [${to("shop")}] }`], { parents: at(section) }));
    expect(app("https").config).toMatch(/match: { scheme: https }/);
    expect(app("web").config).toMatch(/match: { scheme: http }/);
    expect(app("internal").config).toBe("");
    expect(app("internal").notes.join("\n")).toContain("is not in the input, so the listener that parentRefs[0] names");
  });

  test("a Gateway that is not in the input is named once", () => {
    const rules = [`{ backendRefs: [${to("shop")}] }`];
    const { notes } = importedRoutes(route("a", rules), route("b", rules, { hostnames: "[b.example.com]" }));
    expect(notes.filter((note) => note.startsWith("Gateway shop/gateway: not in the input"))).toHaveLength(1);
  });

  test("without its Gateway, but with another, a route is left out: it is not that one's", () => {
    const { config, notes } = importedRoutes(
      gateway([http], { name: "public" }),
      route("admin", [`{ backendRefs: [${to("admin")}] }`]),
    );
    expect(config).toBe("");
    expect(notes.join("\n")).toContain("Gateway shop/gateway is not in the input, and others are");
  });

  test("a Gateway in a file without namespaces, for kubectl -n, is found by its name", () => {
    const { routeOf } = importedRoutes(
      gateway([http]).replace(", namespace: shop", ""),
      route("app", [`{ backendRefs: [${to("shop")}] }`]),
    );
    expect(routeOf({})).toBe("app");
  });

  test.each([
    ["parentRefs", (text: string) => text.replace("[{ name: gateway }]", "gateway")],
    ["parentRefs", (text: string) => text.replace("parentRefs: [{ name: gateway }]", "other: 1")],
    ["hostnames", (text: string) => text.replace("rules:", "hostnames: shop.example.com\n  rules:")],
    ["group", (text: string) => text.replace("[{ name: gateway }]", "[{ group: example.com, name: gateway }]")],
  ])("%s that cannot be read do not match more", (_what, broken) => {
    const app = route("app", [`{ backendRefs: [${to("shop")}] }`]);
    expect(importedRoutes(gateway([http]), broken(app)).config).toBe("");
  });

  test("two Gateways have addresses of their own: the routes of one are not reachable by the port of the other", () => {
    const { routeOf, notes } = importedRoutes(
      gateway([http]),
      gateway([http], { name: "internal" }),
      route("a-public", [`{ matches: [{ path: { value: /shop } }], backendRefs: [${to("shop")}] }`]),
      route("b-admin", [`{ backendRefs: [${to("admin")}] }`], { parents: "[{ name: internal }]" }),
    );
    expect(routeOf({ listener: "http", url: "/shop" })).toBe("a-public");
    expect(routeOf({ listener: "http", url: "/" })).toBeNull();
    expect(routeOf({ listener: "port-10080", url: "/shop" })).toBe("b-admin");
    expect(notes.join("\n")).toContain("this one is at port 10080 of Perch");
  });

  test("lost protection: passed-through TLS", () => {
    const { lost } = importedRoutes(
      gateway([https, "{ name: through, port: 8443, protocol: TLS, tls: { mode: Passthrough } }"]),
      route("app", [`{ backendRefs: [${to("shop")}] }`]),
    );
    expect(lost.join("\n")).toContain("listeners[1] passed TLS through");
  });
});

describe("hostnames of listeners", () => {
  const at = (section: string) => ({ parents: `[{ name: gateway, sectionName: ${section} }]` });
  const rule = `{ backendRefs: [${to("shop")}] }`;

  test.each([
    ["shop.example.com", undefined, "shop.example.com", true],
    ["shop.example.com", undefined, "other.example.com", false],
    ["*.example.com", undefined, "a.b.example.com", true],
    ["*.example.com", undefined, "example.com", false],
    ["*.example.com", "[shop.example.com, example.org]", "shop.example.com", true],
    ["*.example.com", "[shop.example.com, example.org]", "example.org", false],
    ["shop.example.com", '["*.example.com"]', "shop.example.com", true],
    ["shop.example.com", '["*.example.com"]', "other.example.com", false],
    ["*.example.com", '["*.shop.example.com"]', "a.shop.example.com", true],
    ["*.example.com", '["*.shop.example.com"]', "a.example.com", false],
  ])("%s with the route's %s: %s is served: %s", (hostname, hostnames, host, served) => {
    const { routeOf } = importedRoutes(
      gateway([`{ name: http, port: 80, protocol: HTTP, hostname: "${hostname}" }`]),
      route("app", [rule], hostnames === undefined ? {} : { hostnames }),
    );
    expect(routeOf({ host })).toBe(served ? "app" : null);
  });

  const isolated = [
    "{ name: exact, port: 80, protocol: HTTP, hostname: a.shop.example.com }",
    '{ name: narrow, port: 80, protocol: HTTP, hostname: "*.shop.example.com" }',
    '{ name: wide, port: 80, protocol: HTTP, hostname: "*.example.com" }',
    "{ name: any, port: 80, protocol: HTTP }",
  ];
  const { routeOf } = importedRoutes(
    gateway(isolated),
    route("any", [rule], at("any")),
    route("wide", [rule], at("wide")),
    route("exact", [`{ matches: [{ path: { value: /exact } }], backendRefs: [${to("exact")}] }`], at("exact")),
    route("all", [`{ matches: [{ path: { value: /all } }], backendRefs: [${to("all")}] }`]),
  );

  test.each([
    ["a.shop.example.com", "/exact", "exact"],
    ["a.shop.example.com", "/all", "all"],
    ["a.shop.example.com", "/", "exact-404"],
    ["b.shop.example.com", "/all", "all-2"],
    ["b.shop.example.com", "/", "narrow-404"],
    ["c.example.com", "/", "wide"],
    ["example.org", "/", "any"],
  ])("a request is of the most specific listener only: %s%s is for %s", (host, url, name) => {
    expect(routeOf({ host, url })).toBe(name);
  });
});

test("a route is not written again for a listener that its host never reaches", () => {
  const narrow = "{ name: narrow, port: 80, protocol: HTTP, hostname: shop.example.com }";
  const app = route("app", [`{ backendRefs: [${to("shop")}] }`], { hostnames: "[shop.example.com]" });
  const { config } = importedRoutes(gateway([narrow, http]), app);
  expect(config.match(/name: app/g)).toHaveLength(1);
});

describe("allowedRoutes", () => {
  const listener = (allowed: string) =>
    gateway([`{ name: http, port: 80, protocol: HTTP, allowedRoutes: ${allowed} }`], { namespace: "infra" });
  const app = route("app", [`{ backendRefs: [${to("shop")}] }`], { parents: "[{ name: gateway, namespace: infra }]" });
  const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: { name: shop, labels: { team: blue } }\n";
  const selector = (labels: string) => `{ namespaces: { from: Selector, selector: ${labels} } }`;

  test.each([
    ["the Gateway's own namespace by default", "{}", false],
    ["all", "{ namespaces: { from: All } }", true],
    ["those with a label", selector("{ matchLabels: { team: blue } }"), true],
    ["those with another label", selector("{ matchLabels: { team: red } }"), false],
    ["by name", selector("{ matchLabels: { kubernetes.io/metadata.name: shop } }"), true],
    ["by an expression", selector("{ matchExpressions: [{ key: team, operator: NotIn, values: [red] }] }"), true],
    ["not by another", selector("{ matchExpressions: [{ key: team, operator: NotIn, values: [blue] }] }"), false],
    ["with any value", selector("{ matchExpressions: [{ key: team, operator: Exists }] }"), true],
    ["without the label", selector("{ matchExpressions: [{ key: team, operator: DoesNotExist }] }"), false],
    ["another kind only", "{ namespaces: { from: All }, kinds: [{ kind: GRPCRoute }] }", false],
  ])("%s", (_what, allowed, attached) => {
    const { routeOf, notes } = importedRoutes(listener(allowed), namespace, app);
    expect(routeOf({})).toBe(attached ? "app" : null);
    expect(notes.join("\n").includes("nothing that it refers to accepts it")).toBe(!attached);
  });

  test("labels that the input does not have allow nothing", () => {
    const { routeOf, notes } = importedRoutes(listener(selector("{ matchLabels: { team: blue } }")), app);
    expect(routeOf({})).toBeNull();
    expect(notes.join("\n")).toContain("depends on labels of Namespace shop, which is not in the input");
  });
});

describe("ListenerSets", () => {
  const set = `
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { name: more, namespace: shop }
spec:
  parentRef: { name: gateway }
  listeners: [{ name: extra, port: 81, protocol: HTTP }]
`;
  const app = route("app", [`{ backendRefs: [${to("shop")}] }`], { parents: "[{ kind: ListenerSet, name: more }]" });

  test("add listeners to a Gateway that allows them", () => {
    const allowing = gateway([http]).replace(
      "listeners:",
      "allowedListeners: { namespaces: { from: Same } }\n  listeners:",
    );
    const { routeOf } = importedRoutes(allowing, set, app);
    expect(routeOf({ listener: "port-81" })).toBe("app");
  });

  test("are left out otherwise, and named", () => {
    const { config, notes } = importedRoutes(gateway([http]), set, app);
    expect(config).toBe("");
    expect(notes.join("\n")).toContain("its Gateway does not allow it (allowedListeners)");
  });
});

test("of routes with the same match the older wins, and without ages the first by namespace and name", () => {
  const rule = (name: string) => [`{ backendRefs: [${to(name)}] }`];
  const young = { created: "2026-02-01T00:00:00Z" };
  const old = { created: "2026-01-01T00:00:00Z" };
  const listeners = gateway([http]);
  expect(importedRoutes(listeners, route("a", rule("a"), young), route("z", rule("z"), old)).routeOf({})).toBe("z");
  expect(importedRoutes(listeners, route("z", rule("z")), route("a", rule("a"))).routeOf({})).toBe("a");
});

test("a route of a mesh applies to the names of its Service", () => {
  const parents = '[{ group: "", kind: Service, name: shop }]';
  const { routeOf } = importedRoutes(
    route("mesh", [`{ backendRefs: [${to("shop-v2")}] }`], { parents, hostnames: "[ignored.example.com]" }),
  );
  expect(routeOf({ host: "shop.shop.svc.cluster.local" })).toBe("mesh");
  expect(routeOf({ host: "ignored.example.com" })).toBeNull();
});
