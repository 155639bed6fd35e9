import { describe, expect, test } from "vitest";
import { imported } from "../asked.ts";
import { answers, ingress, main, pair } from "./ingresses.ts";

const hostless = ingress("any", {}, [{ path: "/", service: "any" }]).replace('host: "shop.example.com", ', "");
const withDefault = (name: string, host: string, backend: string) =>
  ingress(name, {}, [{ path: "/api", service: name }], host).replace(
    "spec: {",
    `spec: { defaultBackend: { service: { name: ${backend}, port: { number: 80 } } },`,
  );

describe("a host is answered by its own Ingresses only", () => {
  const api = ingress("api", {}, [{ path: "/api", service: "api" }], "a.example.com");
  const wild = ingress("wild", {}, [{ path: "/", service: "wild" }], "*.example.com");
  test.each([
    ["its path", [api, hostless], "http://a.example.com/api", "api/stable"],
    ["another path, beside an Ingress without a host", [api, hostless], "http://a.example.com/other", "404"],
    ["another path, beside one with a wildcard", [api, wild], "http://a.example.com/other", "404"],
    ["another host", [api, hostless], "http://b.example.com/other", "any/stable"],
    ["the wildcard's host", [api, wild, hostless], "http://b.example.com/other", "wild/stable"],
  ])("%s", (_what, manifests, url, wanted) => {
    expect(answers(manifests.join("---"))({ url })).toBe(wanted);
  });

  test("without a wider Ingress nothing is added", () => {
    expect(imported(`${api}---${main}`).config).not.toContain("not-found");
  });

  test("a host without paths", () => {
    const bare = hostless.replace("rules: [", 'rules: [{ host: "bare.example.com" }, ');
    expect(answers(bare)({ host: "bare.example.com" })).toBe("404");
    expect(answers(bare)({ host: "other.example.com" })).toBe("any/stable");
  });
});

describe("default backends", () => {
  const two = [withDefault("a", "a.example.com", "a-rest"), withDefault("b", "b.example.com", "b-rest")];
  const catchAll = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: rest, namespace: shop }
spec: { defaultBackend: { service: { name: rest, port: { number: 80 } } } }
`;
  test.each([
    ["a path of the first", two, "http://a.example.com/api", "a/stable"],
    ["another path of the first", two, "http://a.example.com/x", "a-rest/stable"],
    ["another path of the second", two, "http://b.example.com/x", "b-rest/stable"],
    ["another host", two, "http://c.example.com/x", "404"],
    ["another host, with an Ingress without rules", [...two, catchAll], "http://c.example.com/x", "rest/stable"],
    ["their hosts, with an Ingress without rules", [...two, catchAll], "http://a.example.com/x", "a-rest/stable"],
    ["a path / of its own comes first", [withDefault("a", "shop.example.com", "a-rest"), main], "/x", "shop/stable"],
  ])("%s", (_what, manifests, url, wanted) => {
    expect(answers(manifests.join("---"))({ url })).toBe(wanted);
  });
});

describe("the path type counts", () => {
  const paths = (suffix: string) => [
    { path: "/foo", type: "Exact", service: `exact${suffix}` },
    { path: "/foo", type: "Prefix", service: `prefix${suffix}` },
  ];
  test("canaries of an exact path and of a prefix are different Services", () => {
    const both = [
      ingress("web", {}, paths("")),
      ingress("web-canary", { canary: "true", "canary-weight": "100" }, paths("-next")),
    ].join("---");
    const { config, notes } = imported(both);
    expect(config).toMatch(
      /exact:\s+versions:[\s\S]*exact\.shop:80[\s\S]*canary:\s+endpoints:\s+- http:\/\/exact-next/,
    );
    expect(config).toMatch(
      /prefix:\s+versions:[\s\S]*prefix\.shop:80[\s\S]*canary:\s+endpoints:\s+- http:\/\/prefix-next/,
    );
    expect(answers(both)({ url: "/foo" })).toBe("exact/canary");
    expect(answers(both)({ url: "/foo/x" })).toBe("prefix/canary");
    expect(notes.join("\n")).not.toMatch(/already has a canary|had no effect/);
  });

  test.each([
    ["the exact one only", "Exact", "exact/canary", "prefix/stable"],
    ["the prefix only", "Prefix", "exact/stable", "prefix/canary"],
  ])("a canary of %s", (_what, type, exact, prefix) => {
    const canary = ingress("canary", { canary: "true", "canary-weight": "100" }, [
      { path: "/foo", type, service: "next" },
    ]);
    const answer = answers(`${ingress("web", {}, paths(""))}---${canary}`);
    expect(answer({ url: "/foo" })).toBe(exact);
    expect(answer({ url: "/foo/x" })).toBe(prefix);
  });

  test("ImplementationSpecific and no type are Prefix, as in ingress-nginx", () => {
    const canary = ingress("canary", { canary: "true", "canary-weight": "100" }, [
      { path: "/", type: "ImplementationSpecific", service: "next" },
    ]);
    expect(answers(`${main}---${canary}`)({})).toBe("shop/canary");
    expect(answers(`${main}---${canary.replace("pathType: ImplementationSpecific, ", "")}`)({})).toBe("shop/canary");
  });

  test("a canary of the main Ingress's own Service has no effect, as in ingress-nginx", () => {
    const own = ingress("canary", { canary: "true", "canary-weight": "9" }, [{ path: "/", service: "shop" }]);
    const { config, notes } = imported(`${main}---${own}`);
    expect(config).not.toContain("releases:");
    expect(notes.join("\n")).toContain("Ingress shop/canary: its Service is that of shop.example.com/");
  });

  test("a note says that a canary applied to other paths of its Service", () => {
    const web = ingress("web", {}, [
      { path: "/", service: "shop" },
      { path: "/api", service: "shop" },
    ]);
    const canary = ingress("canary", { canary: "true", "canary-weight": "9" }, [{ path: "/", service: "next" }]);
    expect(imported(`${web}---${canary}`).notes.join("\n")).toContain(
      "Ingress shop/canary: a canary applied to all paths of the Service shop, as to shop.example.com/api",
    );
  });
});

describe("a pattern or rewrite of one Ingress, for the others of its host", () => {
  const regex = ingress("one", { "use-regex": "true" }, [{ path: "/u[0-9]", service: "one" }]);
  const plain = ingress("two", {}, [
    { path: "/foo", type: "Exact", service: "exact" },
    { path: "/foo", type: "Prefix", service: "prefix" },
    { path: "/foo/bar", type: "Prefix", service: "longer" },
  ]);
  test.each([
    ["/FOO/BARx", "longer/stable"],
    ["/foo/x", "prefix/stable"],
    ["/foox", "exact/stable"],
    ["/U1x", "one/stable"],
    ["/x", "404"],
  ])("%s: %s", (url, wanted) => {
    expect(answers(`${regex}---${plain}`)({ url })).toBe(wanted);
  });
});

describe("a path that Perch would read differently", () => {
  test.each([
    ["with an empty segment", "/a//b", "/a/b"],
    ["with a dot segment", "/a/../b", "/b"],
    ["with an escape", "/%7Eb", "/~b"],
  ])("%s is left out, instead of matching another one", (_what, path, url) => {
    const yaml = ingress("web", {}, [
      { path, service: "odd" },
      { path: "/even", service: "even" },
    ]);
    expect(answers(yaml)({ url })).toBe("404");
    expect(imported(yaml).notes.join("\n")).toContain(`the path ${path} of shop.example.com has no request`);
  });

  test.each([
    ["a space", "/b ar", "/b%20ar/x"],
    ["letters beyond ASCII", "/äpfel", "/%C3%A4pfel/x"],
  ])("%s is what clients write as an escape", (_what, path, url) => {
    expect(answers(ingress("web", {}, [{ path, service: "odd" }]))({ url })).toBe("odd/stable");
  });
});

test("two prefixes that differ by the slash at their end", () => {
  const answer = answers(
    ingress("web", {}, [
      { path: "/a.b", service: "without" },
      { path: "/a.b/", service: "with" },
    ]),
  );
  expect(answer({ url: "/a.b" })).toBe("without/stable");
  expect(answer({ url: "/a.b/x" })).toBe("with/stable");
  expect(answer({ url: "/a-b/x" })).toBe("404");
});

describe("a wildcard host stands for one label", () => {
  const wild = ingress("wild", {}, [{ path: "/", service: "wild" }], "*.example.com");
  test.each([
    ["one label", [wild], "a.example.com", "wild/stable"],
    ["two labels", [wild], "a.b.example.com", "404"],
    ["two labels, beside an Ingress without a host", [wild, hostless], "a.b.example.com", "404"],
    ["none", [wild, hostless], "example.com", "any/stable"],
    [
      "two labels of a longer wildcard",
      [wild, ingress("b", {}, [{ path: "/", service: "b" }], "*.b.example.com")],
      "a.b.example.com",
      "b/stable",
    ],
  ])("%s", (_what, manifests, host, wanted) => {
    expect(answers(manifests.join("---"))({ host })).toBe(wanted);
  });

  test("the host of an absolute target counts, not the header", () => {
    const answer = answers(wild);
    expect(answer({ url: "http://a.b.example.com/", headers: { host: "a.example.com" } })).toBe("404");
  });

  test("an exact host comes before another host's alias with a wildcard", () => {
    const aliased = ingress("one", { "server-alias": "*.example.com" }, [{ path: "/", service: "one" }], "one.test");
    const answer = answers(`${aliased}---${main}`);
    expect(answer({})).toBe("shop/stable");
    expect(answer({ host: "a.b.example.com" })).toBe("one/stable");
  });
});

describe("of two Ingresses with the same path", () => {
  const named = (name: string, created = "") =>
    ingress(name, {}, [{ path: "/", service: name }]).replace(
      "metadata: { ",
      created === "" ? "metadata: { " : `metadata: { creationTimestamp: "${created}", `,
    );
  test.each([
    ["the older one wins", named("a", "2026-01-02T00:00:00Z"), named("b", "2026-01-01T00:00:00Z"), "b", "a"],
    ["without times the first one wins", named("a"), named("b"), "a", "b"],
  ])("%s", (_what, first, second, winner, loser) => {
    expect(imported(`${first}---${second}`).served({})).toBe(`${winner}/stable`);
    expect(imported(`${first}---${second}`).notes.join("\n")).toContain(
      `Ingress shop/${loser}: shop.example.com/ is already served by another Ingress: left out`,
    );
  });
});

describe("older API versions", () => {
  const older = (version: string) =>
    pair({ "canary-weight": "100" })
      .replace(
        /apiVersion: networking.k8s.io\/v1(?=\nkind: Ingress\nmetadata: { name: web-canary)/,
        `apiVersion: ${version}`,
      )
      .replace(
        "backend: { service: { name: shop-next, port: { number: 80 } } }",
        "backend: { serviceName: shop-next, servicePort: 8080 }",
      )
      .replace(/(pathType: )Prefix(?=, backend: { serviceName)/, "$1ImplementationSpecific");

  test.each(["extensions/v1beta1", "networking.k8s.io/v1beta1"])("a canary of %s", (version) => {
    const { config, served } = imported(older(version));
    expect(older(version)).toContain("serviceName: shop-next");
    expect(config).toContain("http://shop-next.shop:8080");
    expect(served({})).toBe("shop/canary");
  });

  test("a default backend and a named port", () => {
    const { config, notes } = imported(`
apiVersion: extensions/v1beta1
kind: Ingress
metadata: { name: old, namespace: shop, annotations: { kubernetes.io/ingress.class: nginx } }
spec: { backend: { serviceName: old, servicePort: web } }
---
apiVersion: v1
kind: Service
metadata: { name: old, namespace: shop }
spec: { ports: [{ name: web, port: 8081 }] }
`);
    expect(config).toContain("http://old.shop:8081");
    expect(notes).toEqual([]);
  });
});
