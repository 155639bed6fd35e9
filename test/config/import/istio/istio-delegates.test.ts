import { describe, expect, test } from "vitest";
import { imported } from "../asked.ts";
import { to, virtualService } from "./istio-manifests.ts";

const root = (match: string, rest = ""): string =>
  virtualService({
    routes: [
      `{ ${match} delegate: { name: api }${rest} }`,
      `{ match: [{ uri: { prefix: /rest } }], route: [${to("rest")}] }`,
    ],
  });

const delegate = (route: string): string => virtualService({ name: "api", hosts: "[]", routes: [route] });

describe("a delegate has the requests of both matches", () => {
  test.each([
    ["/api", "/api", undefined],
    ["/api/v1", undefined, "/api/v2"],
    ["/api/v1", "/api/v1/x", "/api"],
  ])("the root's prefix /api, the delegate's %s", (_own, inside, outside) => {
    const own =
      _own === "/api"
        ? `{ route: [${to("api")}] }`
        : `{ match: [{ uri: { prefix: ${_own} } }], route: [${to("api")}] }`;
    const { served } = imported(root("match: [{ uri: { prefix: /api } }],") + delegate(own));
    if (inside !== undefined) expect(served({ url: inside })).toBe("api/stable");
    if (outside !== undefined) expect(served({ url: outside })).toBeUndefined();
    expect(served({ url: "/other" })).toBeUndefined();
    expect(served({ url: inside ?? "/api/v1", headers: { host: "other.example" } })).toBeUndefined();
    expect(served({ url: "/rest" })).toBe("rest/stable");
  });

  test("headers of the root hold beside the delegate's path", () => {
    const { served } = imported(
      root("match: [{ headers: { x-user: { exact: a } } }],") +
        delegate(`{ match: [{ uri: { prefix: /api } }], route: [${to("api")}] }`),
    );
    expect(served({ url: "/api", headers: { "x-user": "a" } })).toBe("api/stable");
    expect(served({ url: "/api" })).toBeUndefined();
  });

  test.each([
    ["another path", "uri: { prefix: /api }", "uri: { prefix: /else }"],
    ["a wider path", "uri: { prefix: /api/v1 }", "uri: { prefix: /api }"],
    ["a prefix below an exact path", "uri: { exact: /api }", "uri: { prefix: /api }"],
    ["a pattern", "uri: { prefix: /api }", "uri: { regex: /api.* }"],
    ["another value of a header", "headers: { x-a: { exact: a } }", "headers: { x-a: { exact: b } }"],
    ["another method", "method: { exact: GET }", "method: { exact: POST }"],
    ["another port", "port: 80", "port: 443"],
    ["other labels", "sourceLabels: { a: b }", "sourceLabels: { a: c }"],
  ])("%s: the delegate's route is left out", (_what, ofRoot, own) => {
    const { config, notes } = imported(
      root(`match: [{ ${ofRoot} }],`) + delegate(`{ match: [{ ${own} }], route: [${to("api")}] }`),
    );
    expect(config).not.toContain("http://api.shop");
    expect(notes.join("\n")).toContain("its match is not part of the root's match");
  });

  test("the root's settings hold where the delegate has none", () => {
    const { config } = imported(root("", ", timeout: 5s") + delegate(`{ route: [${to("api")}] }`));
    expect(config).toMatch(/total: 5s/);
    const own = imported(root("", ", timeout: 5s") + delegate(`{ timeout: 9s, route: [${to("api")}] }`));
    expect(own.config).toMatch(/total: 9s/);
    expect(own.config).not.toMatch(/total: 5s/);
  });

  test("an empty list of a delegate does not replace the root's", () => {
    const { config } = imported(
      root("match: [{ gateways: [gw] }],") + delegate(`{ match: [{ gateways: [] }], route: [${to("api")}] }`),
    );
    expect(config).not.toContain("http://api.shop");
  });

  test("what is not converted is named under the root, with the delegate's place", () => {
    const { notes } = imported(root("") + delegate(`{ route: [${to("api")}], anew: 1 }`));
    expect(notes.join("\n")).toContain(
      "VirtualService shop/shop: http[0] → VirtualService shop/api http[0].anew: not imported",
    );
  });

  test("short names of destinations are of the delegate's namespace", () => {
    const other = delegate(`{ route: [${to("api")}] }`).replace("namespace: shop", "namespace: team");
    const { config } = imported(root("").replace("name: api", "name: api, namespace: team") + other);
    expect(config).toContain("http://api.team:80");
  });
});

test.each([["[]"], ["null"]])("a delegate that nobody names serves no host (hosts: %s)", (hosts) => {
  const inner = virtualService({ name: "inner", hosts, routes: [`{ route: [${to("inner")}] }`] });
  const { served, notes } = imported(virtualService({ routes: [`{ route: [${to("shop")}] }`] }) + inner);
  expect(served({ headers: { host: "other.example" } })).toBeUndefined();
  expect(notes.join("\n")).toContain("VirtualService shop/inner: without a host it is a delegate");
});

test("a Canary with delegation: its note holds with the delegate in the input and without it", () => {
  const canary = `
---
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: { name: api, namespace: shop }
spec:
  targetRef: { apiVersion: apps/v1, kind: Deployment, name: api }
  service: { port: 80, delegation: true }
  analysis: { interval: 1m, threshold: 5, maxWeight: 50, stepWeight: 10 }
`;
  const own = delegate("{ route: [{ destination: { host: api-primary, port: { number: 80 } }, weight: 100 }] }");
  for (const input of [root("") + canary, root("") + own + canary]) {
    const notes = imported(input).notes.join("\n");
    expect(notes).toContain("service.delegation: Flagger writes a delegate");
    expect(notes).not.toContain("is not imported; set hosts");
  }
});
