import { describe, expect, test } from "vitest";
import { gateway, importedRoutes, route, to } from "./manifests.ts";

const grpc = { "content-type": "application/grpc+proto" };
const grpcRoute = (name: string, matches: string, more: Parameters<typeof route>[2] = {}) =>
  route(name, [`{ matches: ${matches}, backendRefs: [${to(name)}] }`], { kind: "GRPCRoute", ...more });

describe("GRPCRoutes", () => {
  const calls = (matches: string) => importedRoutes(grpcRoute("calls", matches));
  test.each([
    ["[{ method: { service: shop.Cart, method: Add } }]", "/shop.Cart/Add", true],
    ["[{ method: { service: shop.Cart, method: Add } }]", "/shop.Cart/AddAll", false],
    ["[{ method: { service: shop.Cart } }]", "/shop.Cart/Add", true],
    ["[{ method: { service: shop.Cart } }]", "/shop.Cartoon/Add", false],
    ["[{ method: { method: Add } }]", "/shop.Cart/Add", true],
    ["[{ method: { method: Add } }]", "/shop.Cart/Remove", false],
    ['[{ method: { type: RegularExpression, service: "shop[.].*", method: "Add|Get" } }]', "/shop.Cart/Get", true],
    ['[{ method: { type: RegularExpression, service: "shop[.].*", method: "Add|Get" } }]', "/shop.Cart/GetAll", false],
    ['[{ method: { type: RegularExpression, service: "shop[.].*" } }]', "/other.Cart/Get", false],
    ["[{ headers: [{ name: x-team, value: blue }] }]", "/shop.Cart/Add", false],
  ])("%s: %s matches: %s", (matches, url, matched) => {
    expect(calls(matches).routeOf({ method: "POST", url, headers: grpc })).toBe(matched ? "calls" : null);
  });

  test("match headers too", () => {
    const { routeOf } = calls("[{ headers: [{ name: X-Team, value: blue }] }]");
    expect(routeOf({ method: "POST", url: "/a/b", headers: { ...grpc, "x-team": "blue" } })).toBe("calls");
  });

  test("match nothing but calls", () => {
    const { routeOf } = importedRoutes(route("calls", [`{ backendRefs: [${to("calls")}] }`], { kind: "GRPCRoute" }));
    expect(routeOf({ method: "POST", url: "/a/b", headers: grpc })).toBe("calls");
    expect(routeOf({ method: "POST", url: "/a/b", headers: { "content-type": "application/json" } })).toBeNull();
    expect(routeOf({ method: "GET", url: "/a/b", headers: grpc })).toBeNull();
    const json = calls("[{ headers: [{ name: Content-Type, value: application/json }] }]");
    expect(json.routeOf({ method: "POST", url: "/a/b", headers: { "content-type": "application/json" } })).toBeNull();
  });

  test("go to their backends by HTTP/2", () => {
    const { config } = importedRoutes(
      route("calls", [`{ backendRefs: [${to("calls", "weight: 9")}, ${to("calls-canary", "weight: 1")}] }`], {
        kind: "GRPCRoute",
      }),
    );
    expect(config).toMatch(/protocol: http2/);
    expect(config).toMatch(/split:\s+stable: 9\s+canary: 1/);
  });

  test("reach listeners without TLS by HTTP/2 with prior knowledge", () => {
    const tls = "{ name: https, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: cert }] } }";
    const { config } = importedRoutes(
      gateway(["{ name: http, port: 80, protocol: HTTP }", tls]),
      grpcRoute("calls", "[{ method: { service: a } }]"),
    );
    expect(config).toMatch(/address: "\*:8080"\n {4}h2c: true\n/);
    expect(config.match(/h2c/g)).toHaveLength(1);
    const { notes } = calls("[{ method: { service: a } }]");
    expect(notes.join("\n")).toContain("need `h2c: true` on their listener");
  });

  test("without a valid backend are unavailable", () => {
    const rules = ["{ matches: [{ method: { service: a } }] }", `{ backendRefs: [${to("calls")}] }`];
    const { config } = importedRoutes(route("calls", rules, { kind: "GRPCRoute" }));
    expect(config).toMatch(/abort:\s+status: 503/);
  });

  test("the longer service, then the longer method, then more headers come first", () => {
    const { routeOf } = importedRoutes(
      grpcRoute("a-any", "[{ headers: [{ name: x, value: y }] }]"),
      grpcRoute("b-service", "[{ method: { service: shop.Cart } }]"),
      grpcRoute("c-method", "[{ method: { service: shop.Cart, method: Add } }]"),
      grpcRoute("d-header", "[{ method: { service: shop.Cart, method: Add }, headers: [{ name: x, value: y }] }]"),
    );
    const call = (url: string, headers = {}) => routeOf({ method: "POST", url, headers: { ...grpc, ...headers } });
    expect(call("/shop.Cart/Add", { x: "y" })).toBe("d-header");
    expect(call("/shop.Cart/Add")).toBe("c-method");
    expect(call("/shop.Cart/Get", { x: "y" })).toBe("b-service");
    expect(call("/shop.Other/Get", { x: "y" })).toBe("a-any");
  });

  test("attach to listeners, as HTTPRoutes do", () => {
    const only = "{ name: http, port: 80, protocol: HTTP, allowedRoutes: { kinds: [{ kind: HTTPRoute }] } }";
    const { config, notes } = importedRoutes(gateway([only]), grpcRoute("calls", "[{ method: { service: a } }]"));
    expect(config).toBe("");
    expect(notes.join("\n")).toContain("does not allow it (allowedRoutes)");
  });
});

describe("a test of the host is a condition on the host", () => {
  const byHost = (name: string, test: string, hostnames?: string) =>
    importedRoutes(
      route("app", [`{ matches: [{ headers: [{ name: "${name}", ${test} }] }], backendRefs: [${to("app")}] }`], {
        ...(hostnames === undefined ? {} : { hostnames }),
      }),
    );

  test.each([
    [":authority", undefined, "shop.example.com", "app"],
    ["Host", undefined, "shop.example.com", "app"],
    [":authority", undefined, "other.example.com", null],
    [":authority", '["*.example.com"]', "shop.example.com", "app"],
    [":authority", '["*.example.com"]', "other.example.com", null],
    [":authority", "[other.example.com]", "other.example.com", undefined],
  ])("%s with hostnames %s: %s is for %s", (name, hostnames, host, wanted) => {
    const { config, routeOf } = byHost(name, "value: shop.example.com", hostnames);
    if (wanted === undefined) expect(config).toBe("");
    else expect(routeOf({ host })).toBe(wanted);
  });

  test("by a pattern it is left out, and named", () => {
    const { config, notes } = byHost(":authority", 'type: RegularExpression, value: ".*"');
    expect(config).toBe("");
    expect(notes.join("\n")).toContain("a test of the host that is not one host");
  });
});

describe("redirects", () => {
  const redirected = (match: string, redirect: string) =>
    importedRoutes(route("away", [`{ ${match}filters: [{ type: RequestRedirect, requestRedirect: ${redirect} }] }`]));

  test.each([
    ["", /redirect:\s+prefix: \/\s+status: 301/],
    ["matches: [{ path: { value: /old } }], ", /redirect:\s+prefix: \/old\s+status: 301/],
    ["matches: [{ path: { type: Exact, value: /old } }], ", /redirect:\s+path: \/old\s+status: 301/],
  ])("of the status alone go to the same URL (%s)", (match, wanted) => {
    expect(redirected(match, "{ statusCode: 301 }").config).toMatch(wanted);
  });

  test("to a path that Perch cannot write are left out, and do not go to the same URL", () => {
    const path = '{ path: { type: ReplaceFullPath, replaceFullPath: "/new?q=1" } }';
    expect(redirected("", path).config).toBe("");
  });

  test("whose scheme Perch does not have are left out, and named", () => {
    const { config, notes } = redirected("", "{ scheme: ftp }");
    expect(config).toBe("");
    expect(notes.join("\n")).toContain("it has the scheme ftp");
  });
});

test("edits of host and x-request-id: the former rewrites the host, the latter is named", () => {
  const set = "[{ name: Host, value: in.example.com }, { name: X-Request-Id, value: a }]";
  const filter = `{ type: RequestHeaderModifier, requestHeaderModifier: { set: ${set} } }`;
  const { config, notes } = importedRoutes(route("app", [`{ filters: [${filter}], backendRefs: [${to("shop")}] }`]));
  expect(config).toMatch(/rewrite:\s+host: in\.example\.com/);
  expect(config).not.toContain("requestHeaders");
  expect(notes.join("\n")).toContain("the edit of the request header X-Request-Id is left out");
});

test.each(["TLSRoute", "TCPRoute", "UDPRoute"])("a %s alone is named", (kind) => {
  const { config, notes } = importedRoutes(route("through", [`{ backendRefs: [${to("db")}] }`], { kind }));
  expect(config).toBe("");
  expect(notes.join("\n")).toContain(`${kind} shop/through: left out`);
});
