import { describe, expect, test } from "vitest";
import { imported } from "../asked.ts";
import { converted, gateway, to, virtualService } from "./istio-manifests.ts";

const rest = `{ route: [${to("rest")}] }`;
const admin = (fault: string) => `{ fault: ${fault}, route: [${to("admin")}] }`;
const inNamespace = (namespace: string, manifest: string) =>
  manifest.replace("namespace: shop", `namespace: ${namespace}`);
const exported = (to: string, manifest: string) => manifest.replace("spec:", `spec:\n  exportTo: ${to}`);

describe("client certificates of two CAs on one port", () => {
  const mutual = (host: string, tls: string) =>
    `{ port: { number: 443, protocol: HTTPS }, hosts: [${host}.example], tls: { mode: MUTUAL, ${tls} } }`;
  const of = (name: string, tls: string) =>
    gateway(name, [mutual(name, tls)]) +
    virtualService({ name, hosts: `[${name}.example]`, gateways: `[${name}]`, routes: [`{ route: [${to(name)}] }`] });

  test("the servers of the second CA are left out", () => {
    const { config, notes } = converted(of("a", "credentialName: ca") + of("b", "credentialName: cb"));
    expect(config).toContain("clientCa: /etc/perch/tls/shop-ca/ca.crt");
    expect(config).not.toContain("b.example ]");
    expect(notes[0]).toContain(
      "Gateway shop/b: servers[0]: clients needed a certificate of /etc/perch/tls/shop-cb/ca.crt",
    );
    expect(notes.join("\n")).not.toContain("put the CA's certificates in /etc/perch/tls/shop-cb");
  });

  test.each([
    ["one Secret", "credentialName: c", "credentialName: c"],
    [
      "one CA beside two certificates",
      "credentialName: a, caCertificates: /ca",
      "credentialName: b, caCertificates: /ca",
    ],
    [
      "one Secret of the CA",
      "credentialName: a, caCertCredentialName: c",
      "credentialName: b, caCertCredentialName: c",
    ],
  ])("%s: both are served", (_what, first, second) => {
    const { config } = converted(of("a", first) + of("b", second));
    expect(config).toContain("a.example ]");
    expect(config).toContain("b.example ]");
  });
});

describe("replies of the gateway itself", () => {
  test("do not depend on another route's service", () => {
    const broken = `{ match: [{ uri: { prefix: /a } }], route: [${to("broken").replace("80", "99999")}] }`;
    const forbidden = "{ match: [{ uri: { prefix: /admin } }], directResponse: { status: 403 } }";
    const everyHost = virtualService({ name: "rest", hosts: "['*']", routes: [rest] });
    const { served, config, notes } = imported(virtualService({ routes: [broken, forbidden] }) + everyHost);
    expect(notes.join("\n")).toContain("the route shop is left out, as its service has no usable endpoint");
    expect(config).toMatch(/path: { regex: \^\/admin } }\s+service: no-backend\s+fault:\s+abort:\s+status: 403\n/);
    expect(served({ url: "/admin" })).toBe("no-backend/none");
    expect(served({ url: "/b" })).toBe("no-backend/none");
    expect(served({ headers: { host: "o.example" } })).toBe("rest/stable");
  });

  test("are routes, even if there is no other", () => {
    const { config } = converted(virtualService({ routes: ["{ directResponse: { status: 410 } }"] }));
    expect(config).toMatch(/service: no-backend\s+fault:\s+abort:\s+status: 410\n/);
  });
});

test("a Service with the name of the one for errors is a Service like others", () => {
  const { config } = converted(
    virtualService({
      routes: [`{ fault: { abort: { httpStatus: 503, percentage: { value: 50 } } }, route: [${to("no-backend")}] }`],
    }),
  );
  expect(config).toContain("http://no-backend.shop:80");
});

describe("a fault never forwards what it kept from the service", () => {
  test.each([
    ["grpcStatus: PERMISSION_DENIED", 403],
    ["grpcStatus: '7'", 403],
    ["grpcStatus: UNAUTHENTICATED", 401],
    ["grpcStatus: RESOURCE_EXHAUSTED", 429],
    ["grpcStatus: NOT_FOUND", 503],
    ["http2Error: REFUSED", 503],
    ["httpStatus: 200", 503],
    ["httpStatus: 403.5", 503],
  ])("an abort with %s answers %i", (abort, status) => {
    const { config, notes } = converted(
      virtualService({ routes: [admin(`{ abort: { ${abort}, percentage: { value: 100 } } }`)] }),
    );
    expect(config).toMatch(new RegExp(`abort:\\s+status: ${status}\\s+percent: 100`));
    expect(notes.join("\n")).toContain(`no equivalent; the abort answers ${status}`);
  });

  test("a delay that is too long does not take the abort with it", () => {
    const { config, notes } = converted(
      virtualService({
        routes: [
          admin("{ delay: { fixedDelay: 90s, percentage: { value: 100 } }, abort: { httpStatus: 403, percent: 100 } }"),
        ],
      }),
    );
    expect(config).toMatch(/delay:\s+for: 1m\s+percent: 100\s+abort:\s+status: 403\s+percent: 100/);
    expect(notes.join("\n")).toContain(
      "http[0].fault.delay.fixedDelay 90s: no equivalent; Perch delays for 1m at most",
    );
  });
});

test("ignoreUriCase is for exact paths and prefixes, not for patterns", () => {
  const { served } = imported(
    virtualService({
      routes: [`{ match: [{ uri: { regex: '/api/v[0-9]' }, ignoreUriCase: true }], route: [${to("api")}] }`, rest],
    }),
  );
  expect(served({ url: "/api/v1" })).toBe("api/stable");
  expect(served({ url: "/API/v1" })).toBe("rest/stable");
});

describe("exportTo", () => {
  const plain = inNamespace("edge", gateway("gw", ["{ port: { number: 80, protocol: HTTP }, hosts: ['*'] }"]));
  const shop = virtualService({ name: "other", hosts: "[o.example]", gateways: "[edge/gw]", routes: [rest] });
  const bound = virtualService({ gateways: "[edge/gw]", routes: [`{ route: [${to("shop")}] }`] });

  test.each([
    ["['.']", undefined],
    ["[team]", undefined],
    ["['~']", undefined],
    ["['*']", "shop/stable"],
    ["[edge]", "shop/stable"],
    ["[]", "shop/stable"],
  ])("a VirtualService with %s, for a Gateway of another namespace: %s", (list, wanted) => {
    const { served, notes } = imported(plain + shop + exported(list, bound));
    expect(served({})).toBe(wanted);
    const note = "VirtualService shop/shop: its exportTo does not name the namespace of the Gateway edge/gw: left out";
    expect(notes.includes(note)).toBe(wanted === undefined);
  });

  test("a delegate that the root's namespace does not see is left out", () => {
    const root = virtualService({
      routes: [`{ match: [{ uri: { prefix: /a } }], delegate: { name: inner, namespace: team } }`, rest],
    });
    const inner = virtualService({ name: "inner", hosts: "[]", routes: [`{ route: [${to("inner")}] }`] });
    const { served, notes } = imported(root + exported("['.']", inNamespace("team", inner)));
    expect(served({ url: "/a" })).toBe("rest/stable");
    expect(notes.join("\n")).toContain("the delegate team/inner is not exported to shop, so http[0] is left out");
  });

  const rule = (namespace: string, list: string) => `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: rule, namespace: ${namespace} }
spec:
  exportTo: ${list}
  host: shop.shop.svc.cluster.local
  trafficPolicy: { tls: { mode: SIMPLE, insecureSkipVerify: true } }
`;
  test.each([
    ["other", "['*']", false],
    ["other", "['.']", false],
    ["shop", "['.']", false],
    ["shop", "['*']", true],
    ["shop", "[edge]", true],
    ["edge", "['.']", true],
    ["istio-system", "['*']", true],
    ["istio-system", "['.']", false],
  ])("a DestinationRule of %s with %s: applied is %s", (namespace, list, isApplied) => {
    const { config, notes } = converted(plain + bound + rule(namespace, list));
    expect(config.includes("insecureSkipVerify")).toBe(isApplied);
    const note = `DestinationRule ${namespace}/rule: not applied to requests for shop: `;
    expect(notes.some((one) => one.startsWith(note))).toBe(!isApplied);
  });
});

test("a short host of two namespaces is served for neither", () => {
  const reviews = virtualService({ name: "v", hosts: "[reviews]", routes: [`{ route: [${to("reviews")}] }`] });
  const { config, served, notes } = imported(inNamespace("one", reviews) + inNamespace("two", reviews));
  expect(served({ headers: { host: "reviews" } })).toBeUndefined();
  expect(served({ headers: { host: "reviews.one" } })).toBe("reviews/stable");
  expect(served({ headers: { host: "reviews.two.svc.cluster.local" } })).toBe("reviews-2/stable");
  expect(config).not.toMatch(/\[ reviews,/);
  expect(notes.filter((one) => one.includes("the host reviews is left out"))).toHaveLength(2);
});

describe("a rewrite without an equivalent: its route is left out", () => {
  test.each([
    ["{ uri: 'new path' }"],
    ["{ uri: '/a?b=1' }"],
    ["{ uri: [a] }"],
    ["{ uriRegexRewrite: { match: '^/old/(?=x)', rewrite: /y } }"],
    ["{ uriRegexRewrite: { match: '^/old/(.*)$', rewrite: '/internal?p=\\1' } }"],
    ["{ uriRegexRewrite: { rewrite: /y } }"],
    ["{ uriRegexRewrite: /y }"],
  ])("%s", (rewrite) => {
    const old = `{ match: [{ uri: { prefix: /old } }], rewrite: ${rewrite}, route: [${to("old")}] }`;
    const { config, served, notes } = imported(virtualService({ routes: [old, rest] }));
    expect(served({ url: "/old/x" })).toBe("rest/stable");
    expect(config).not.toContain("http://old.shop");
    expect(notes.join("\n")).toMatch(/http\[0\]\.rewrite: .*the route is left out; later routes match its requests/);
  });

  test("one for every request leaves its requests to no later route of its VirtualService", () => {
    const all = `{ rewrite: { uri: '/a?b=1' }, route: [${to("old")}] }`;
    const other = virtualService({ name: "other", hosts: "[o.example]", routes: [rest] });
    const { served, notes } = imported(virtualService({ routes: [all, rest] }) + other);
    expect(served({ url: "/x" })).toBeUndefined();
    expect(notes.join("\n")).toContain("the route is left out; no route of its VirtualService matches its requests");
  });

  test.each(["{ uri: '' }", "{ authority: inner.example }"])("%s is none", (rewrite) => {
    const { served } = imported(virtualService({ routes: [`{ rewrite: ${rewrite}, route: [${to("old")}] }`] }));
    expect(served({ url: "/old/x" })).toBe("old/stable");
  });
});
