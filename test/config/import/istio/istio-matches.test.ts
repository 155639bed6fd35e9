import { describe, expect, test } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";
import { imported } from "../asked.ts";
import { to, virtualService } from "./istio-manifests.ts";

/** Each would match more requests without what Perch cannot express. */
describe("a match without an equivalent is left out, and the next route serves", () => {
  test.each([
    ["sourceLabels: { app: a }"],
    ["sourceNamespace: team"],
    ["gateways: [other]"],
    ["port: 8080"],
    ["scheme: { prefix: http }"],
    ["scheme: { exact: ftp }"],
    ["method: { prefix: P }"],
    ["method: { regex: 'P.*' }"],
    ["method: { regex: '(?!GET)' }"],
    ["authority: { prefix: shop }"],
    ["authority: { regex: '.*' }"],
    ["authority: { exact: other.example }"],
    ["headers: { ':authority': { exact: shop.example.com } }"],
    ["headers: { ':method': { exact: GET } }"],
    ["headers: { x-a: { suffix: a } }"],
    ["headers: { x-a: { regex: '(?!a)' } }"],
    ["headers: { x-a: { exact: a }, X-A: { exact: b } }"],
    ["headers: { x-a: { exact: a } }, withoutHeaders: { x-a: { exact: b } }"],
    ["withoutHeaders: { ':path': {} }"],
    ["queryParams: { a: { regex: '\\1(a)' } }"],
    ["uri: { regex: '/(?!a)' }"],
    ["uri: { regex: '(/a)\\1' }"],
    ["uri: { regex: '' }"],
    ["uri: { exact: '' }"],
    ["uri: { exact: '/a?b' }"],
    ["uri: { prefix: a }"],
    ["uri: /text"],
    ["anew: 1"],
  ])("%s", (condition) => {
    const { config, served, notes } = imported(
      virtualService({
        routes: [`{ match: [{ ${condition} }], route: [${to("narrow")}] }`, `{ route: [${to("rest")}] }`],
      }),
    );
    expect(served({ url: "/a", headers: { "x-a": "a" } })).toBe("rest/stable");
    expect(config).not.toContain("name: narrow");
    expect(config.match(/- name:/g)).toHaveLength(1);
    expect(notes.join("\n")).toMatch(/http\[0\]\.match\[0\] is left out/);
  });

  test("beside others that stay", () => {
    const { served } = imported(
      virtualService({
        routes: [
          `{ match: [{ sourceLabels: { a: b } }, { uri: { exact: /a } }], route: [${to("narrow")}] }`,
          `{ route: [${to("rest")}] }`,
        ],
      }),
    );
    expect(served({ url: "/a" })).toBe("narrow/stable");
    expect(served({ url: "/b" })).toBe("rest/stable");
  });
});

test.each([
  ["method: { regex: 'GET|HEAD' }", "POST"],
  ["method: { exact: GET }", "POST"],
])("%s: %s goes elsewhere", (condition, method) => {
  const { served } = imported(
    virtualService({ routes: [`{ match: [{ ${condition} }], route: [${to("a")}] }`, `{ route: [${to("b")}] }`] }),
  );
  expect([served({ method: "GET" }), served({ method })]).toEqual(["a/stable", "b/stable"]);
});

test("an authority of the hosts narrows them", () => {
  const { served } = imported(
    virtualService({
      hosts: "['*.example.com']",
      routes: [`{ match: [{ authority: { exact: A.example.com } }], route: [${to("a")}] }`, `{ route: [${to("b")}] }`],
    }),
  );
  expect(served({ headers: { host: "a.example.com" } })).toBe("a/stable");
  expect(served({ headers: { host: "b.example.com" } })).toBe("b/stable");
});

test.each([
  ["hosts: shop.example.com", "it has no host that Perch could serve"],
  ["hosts: ['a b']", "the host a b has no equivalent"],
  ["hosts: [shop.example.com], gateways: gw", "its gateways are not a list of names"],
])("a VirtualService with %s is left out", (spec, note) => {
  const text = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: odd, namespace: shop }
spec: { ${spec}, http: [{ route: [${to("shop")}] }] }
`;
  const result = importManifests([{ file: "cluster.yaml", text }]);
  expect(result.ok).toBe(false);
  expect(result.notes.map(({ what }) => what).join("\n")).toContain(note);
});

test.each(["tls", "tcp"])("a VirtualService with nothing but %s is named", (kind) => {
  const text = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: db, namespace: shop }
spec:
  hosts: [db.example.com]
  ${kind}: [{ match: [{ port: 5432 }], route: [{ destination: { host: db } }] }]
`;
  const result = importManifests([{ file: "cluster.yaml", text }]);
  expect(result.ok).toBe(false);
  expect(result.notes.map(({ where, what }) => `${where}: ${what}`).join("\n")).toContain(
    `VirtualService shop/db: ${kind}`,
  );
});
