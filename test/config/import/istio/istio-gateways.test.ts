import { describe, expect, test } from "vitest";
import { imported } from "../asked.ts";
import { converted, gateway, to, virtualService } from "./istio-manifests.ts";

const plain = "{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }";
const secure =
  "{ port: { number: 443, name: https, protocol: HTTPS }, hosts: ['*'], tls: { mode: SIMPLE, credentialName: shop-cert } }";

describe("listeners", () => {
  test("each port of a Gateway becomes a listener, with the certificate of its Secret", () => {
    const { config } = converted(
      gateway("gw", [plain, secure]) + virtualService({ gateways: "[gw]", routes: [`{ route: [${to("shop")}] }`] }),
    );
    expect(config).toMatch(/- name: http\s+address: \S+8080/);
    expect(config).toMatch(
      /- name: https\s+address: \S+8443"?\s+tls:\s+certificates:\s+- certFile: \/etc\/perch\/tls\/shop-shop-cert\/tls\.crt/,
    );
    // Its requests arrive on every listener, so the route names none.
    expect(config).not.toContain("listeners: [");
  });

  test("a route of one Gateway is not served on the listeners of another", () => {
    const { config } = imported(
      gateway("public", [plain]) +
        gateway("internal", ["{ port: { number: 8000, protocol: HTTP }, hosts: ['*'] }"]) +
        virtualService({ name: "a", gateways: "[public]", routes: [`{ route: [${to("shop")}] }`] }) +
        virtualService({ name: "b", gateways: "[internal]", routes: [`{ route: [${to("admin")}] }`] }),
    );
    expect(config).toMatch(/name: a\s+match: { listeners: \[ http \]|name: a\s+match: {[^}]*listeners: \[ http \]/);
    expect(config).toMatch(/name: b\s+match: {[^}]*listeners: \[ port-8000 \]/);
  });

  test("clients need a certificate where the Gateway wants one (MUTUAL)", () => {
    const mutual =
      "{ port: { number: 443, protocol: HTTPS }, hosts: ['*'], tls: { mode: MUTUAL, credentialName: c, minProtocolVersion: TLSV1_3 } }";
    const { config, notes } = converted(
      gateway("gw", [mutual]) + virtualService({ gateways: "[gw]", routes: [`{ route: [${to("shop")}] }`] }),
    );
    expect(config).toMatch(/clientCa: \/etc\/perch\/tls\/shop-c\/ca\.crt\s+minVersion: TLSv1\.3/);
    expect(notes.join("\n")).toContain("servers[0].tls: clients need a certificate");
  });

  test("a port where only some hosts want client certificates does not serve those", () => {
    const mutual =
      "{ port: { number: 443, protocol: HTTPS }, hosts: [b.example], tls: { mode: MUTUAL, credentialName: c } }";
    const simple =
      "{ port: { number: 443, protocol: HTTPS }, hosts: [a.example], tls: { mode: SIMPLE, credentialName: a } }";
    const { config, notes } = converted(
      gateway("gw", [mutual, simple]) +
        virtualService({ hosts: "[a.example, b.example]", gateways: "[gw]", routes: [`{ route: [${to("shop")}] }`] }),
    );
    expect(config).not.toContain("clientCa");
    expect(notes[0]).toContain("servers[0]: clients needed a certificate");
    expect(config).toContain("hosts: [ a.example ]");
  });

  test.each([
    ["TCP", "{ port: { number: 5432, protocol: TCP }, hosts: ['*'] }", "servers[1]: TCP"],
    [
      "TLS that the gateway does not read",
      "{ port: { number: 443, protocol: TLS }, hosts: ['*'], tls: { mode: PASSTHROUGH } }",
      "servers[1]: TLS PASSTHROUGH",
    ],
    [
      "client certificates that are optional",
      "{ port: { number: 443, protocol: HTTPS }, hosts: ['*'], tls: { mode: OPTIONAL_MUTUAL, credentialName: c } }",
      "servers[1].tls (OPTIONAL_MUTUAL)",
    ],
    [
      "names that client certificates must have",
      "{ port: { number: 443, protocol: HTTPS }, hosts: ['*'], tls: { mode: MUTUAL, credentialName: c, subjectAltNames: [a] } }",
      "servers[1].tls.subjectAltNames: not imported",
    ],
  ])("%s is named", (_what, server, note) => {
    const { notes } = converted(
      gateway("gw", [plain, server]) + virtualService({ gateways: "[gw]", routes: [`{ route: [${to("shop")}] }`] }),
    );
    expect(notes.join("\n")).toContain(note);
  });
});

describe("servers with TLS and without on one port: the first one counts, as in Istio", () => {
  const http = "{ port: { number: 80, protocol: HTTP }, hosts: [a.example] }";
  const https =
    "{ port: { number: 80, protocol: HTTPS }, hosts: [b.example], tls: { mode: SIMPLE, credentialName: c } }";

  test.each([
    ["plain HTTP", [http, https], "a.example", "servers[1]: it has TLS, and an earlier server of the port 80 has none"],
    ["TLS", [https, http], "b.example", "servers[1]: it has no TLS, and an earlier server of the port 80 has it"],
  ])("%s", (what, servers, host, note) => {
    const { config, notes } = converted(
      gateway("gw", servers) +
        virtualService({ hosts: "[a.example, b.example]", gateways: "[gw]", routes: [`{ route: [${to("shop")}] }`] }),
    );
    expect(config.includes("tls:")).toBe(what === "TLS");
    expect(config).toContain(`hosts: [ ${host} ]`);
    expect(notes.join("\n")).toContain(`Gateway shop/gw: ${note}`);
  });
});

describe("httpsRedirect", () => {
  const redirecting = "{ port: { number: 80, protocol: HTTP }, hosts: ['*'], tls: { httpsRedirect: true } }";

  test("plain requests are redirected before any other route", () => {
    const { config, notes } = converted(
      gateway("gw", [redirecting, secure]) +
        virtualService({ gateways: "[gw]", routes: [`{ route: [${to("shop")}] }`] }),
    );
    expect(config).toMatch(
      /routes:\s+#.*\n\s+- name: gw-to-https\s+match: { scheme: http }\s+redirect:\s+scheme: https\s+status: 301/,
    );
    expect(notes.join("\n")).not.toContain("httpsRedirect");
  });

  test("beside a server of the port that does not redirect, each for the hosts of its VirtualServices", () => {
    const { served } = imported(
      gateway("secure", [redirecting]) +
        gateway("open", ["{ port: { number: 80, protocol: HTTP }, hosts: [open.example] }"]) +
        virtualService({ name: "a", hosts: "[a.example]", gateways: "[secure]", routes: [`{ route: [${to("a")}] }`] }) +
        virtualService({ name: "b", hosts: "[open.example]", gateways: "[open]", routes: [`{ route: [${to("b")}] }`] }),
    );
    expect(served({ headers: { host: "open.example" } })).toBe("b/stable");
    expect(served({ headers: { host: "a.example" } })).toBeUndefined();
    expect(served({ headers: { host: "other.example" } })).toBeUndefined();
  });

  test("not of a host whose own server does not redirect, even where none of its routes matches", () => {
    const { config, served } = imported(
      gateway("secure", [redirecting]) +
        gateway("open", ["{ port: { number: 80, protocol: HTTP }, hosts: [open.example] }"]) +
        virtualService({
          hosts: "[open.example]",
          gateways: "[open]",
          routes: [`{ match: [{ uri: { exact: /a } }], route: [${to("a")}] }`],
        }),
    );
    expect(served({ url: "/a", headers: { host: "open.example" } })).toBe("a/stable");
    expect(config).toMatch(/hosts: \[ open\.example \] }\s+service: no-backend\s+fault:\s+abort:\s+status: 404/);
  });

  test("of the hosts that want it, on their port only", () => {
    const some = "{ port: { number: 80, protocol: HTTP }, hosts: [shop/a.example], tls: { httpsRedirect: true } }";
    const other = "{ port: { number: 8000, protocol: HTTP }, hosts: ['*'] }";
    const { config } = imported(
      gateway("gw", [some, other]) +
        virtualService({ hosts: "[a.example]", gateways: "[gw]", routes: [`{ route: [${to("shop")}] }`] }),
    );
    expect(config).toMatch(/match: { hosts: \[ a\.example \], listeners: \[ http \], scheme: http }/);
  });
});

describe("which VirtualServices a gateway serves", () => {
  const simple = gateway("gw", [plain]);

  test("not those of the mesh only, even for the same host", () => {
    const { served, notes } = imported(
      virtualService({ name: "inner", routes: [`{ route: [${to("inner")}] }`] }) +
        simple +
        virtualService({ name: "outer", gateways: "[shop/gw]", routes: [`{ route: [${to("outer")}] }`] }),
    );
    expect(served({})).toBe("outer/stable");
    expect(notes.join("\n")).toContain("VirtualService shop/inner: it is for calls within the mesh");
    expect(notes.join("\n")).toContain("For a Perch in front of those Services import them without the Gateways");
  });

  test("those of the mesh and the gateway", () => {
    const both = virtualService({ gateways: "[mesh, gw]", routes: [`{ route: [${to("shop")}] }`] });
    expect(imported(simple + both).served({})).toBe("shop/stable");
  });

  test.each([
    ["a host that the server does not have", "[other.example]", "['*.example.com']", "other.example", undefined],
    ["a host below the server's wildcard", "[a.example.com]", "['*.example.com']", "a.example.com", "shop/stable"],
    ["any host, of the server's only", "['*']", "[a.example.com]", "a.example.com", "shop/stable"],
    ["any host, of the server's only: no other", "['*']", "[a.example.com]", "b.example.com", undefined],
    ["a server of its namespace", "[a.example.com]", "[shop/a.example.com]", "a.example.com", "shop/stable"],
    ["a server of its namespace, written .", "[a.example.com]", "[./a.example.com]", "a.example.com", "shop/stable"],
    ["a server of another namespace", "[a.example.com]", "[team/a.example.com]", "a.example.com", undefined],
  ])("%s", (_what, hosts, ofServer, host, wanted) => {
    const { served } = imported(
      gateway("gw", [`{ port: { number: 80, protocol: HTTP }, hosts: ${ofServer} }`]) +
        gateway("any", [plain]) +
        virtualService({
          name: "other",
          hosts: "[z.example]",
          gateways: "[any]",
          routes: [`{ route: [${to("z")}] }`],
        }) +
        virtualService({ hosts, gateways: "[gw]", routes: [`{ route: [${to("shop")}] }`] }),
    );
    expect(served({ headers: { host } })).toBe(wanted);
  });

  test("a Gateway that is not in the input is named; its routes are not served by another", () => {
    const bound = virtualService({ gateways: "[elsewhere]", routes: [`{ route: [${to("shop")}] }`] });
    const alone = imported(bound);
    expect(alone.served({})).toBe("shop/stable");
    expect(alone.notes.join("\n")).toContain("the Gateway shop/elsewhere is not in the input");
    const known = virtualService({
      name: "k",
      hosts: "[k.example]",
      gateways: "[gw]",
      routes: [`{ route: [${to("k")}] }`],
    });
    expect(imported(simple + bound + known).served({})).toBeUndefined();
  });

  test.each([
    ["port: 443", "listeners: [ https ]"],
    ["gateways: [gw]", "name: shop\n"],
    ["gateways: [mesh]", undefined],
    ["port: 9", undefined],
  ])("a match of %s", (condition, wanted) => {
    const { config, notes } = converted(
      gateway("gw", [plain, secure]) +
        virtualService({
          gateways: "[gw, mesh]",
          routes: [`{ match: [{ ${condition} }], route: [${to("part")}] }`, `{ route: [${to("rest")}] }`],
        }),
    );
    if (wanted !== undefined) expect(config).toContain(wanted);
    expect(config.includes("http://part.shop")).toBe(wanted !== undefined);
    expect(notes.join("\n").includes("so http[0].match[0] is left out")).toBe(wanted === undefined);
  });
});

describe("the most specific host wins", () => {
  const any = virtualService({ name: "any", hosts: "['*']", routes: [`{ route: [${to("any")}] }`] });
  const wild = virtualService({
    name: "wild",
    hosts: "['*.example.com']",
    routes: [`{ match: [{ uri: { prefix: /w } }], route: [${to("wild")}] }`],
  });
  const exact = virtualService({
    name: "exact",
    hosts: "[api.example.com]",
    routes: [`{ match: [{ uri: { prefix: /api } }], route: [${to("api")}] }`],
  });
  const { served, config } = imported(any + wild + exact);
  const abort = (host: string) =>
    new RegExp(`hosts: \\[ "?${host}"? \\] }\\s+service: \\S+\\s+fault:\\s+abort:\\s+status: 404`);

  test.each([
    ["api.example.com", "/api", "api"],
    ["b.example.com", "/w", "wild"],
    ["example.com", "/w", "any"],
  ])("%s%s: %s", (host, url, wanted) => {
    expect(served({ url, headers: { host } })).toBe(`${wanted}/stable`);
  });

  test("what no route of a host matches gets 404, and not the routes of wider hosts", () => {
    expect(config).toMatch(abort("api\\.example\\.com"));
    expect(config).toMatch(abort("\\*\\.example\\.com"));
  });

  test("a host with a route for everything needs none", () => {
    const all = virtualService({ name: "all", hosts: "[api.example.com]", routes: [`{ route: [${to("api")}] }`] });
    expect(imported(any + all).config).not.toContain("status: 404");
  });

  test("even if all routes of the host are left out", () => {
    const odd = virtualService({
      name: "odd",
      hosts: "[api.example.com]",
      routes: [`{ match: [{ sourceLabels: { a: b } }], route: [${to("odd")}] }`],
    });
    expect(imported(any + odd).config).toMatch(abort("api\\.example\\.com"));
  });

  test("of two VirtualServices of a host, the route for everything comes last", () => {
    const all = virtualService({ name: "all", hosts: "[api.example.com]", routes: [`{ route: [${to("all")}] }`] });
    const both = imported(all + exact);
    expect(both.served({ url: "/api", headers: { host: "api.example.com" } })).toBe("api/stable");
    expect(both.served({ url: "/x", headers: { host: "api.example.com" } })).toBe("all/stable");
  });

  test("a match after one for everything has no requests", () => {
    const both = imported(
      virtualService({
        name: "a",
        routes: [`{ match: [{ uri: { prefix: / } }, { uri: { exact: /b } }], route: [${to("a")}] }`],
      }) + virtualService({ name: "b", routes: [`{ match: [{ uri: { exact: /b } }], route: [${to("b")}] }`] }),
    );
    expect(both.served({ url: "/b" })).toBe("b/stable");
    expect(both.served({ url: "/c" })).toBe("a/stable");
  });

  test("in one VirtualService nothing comes after a route for everything", () => {
    const { served, notes } = imported(
      virtualService({
        hosts: "[api.example.com]",
        routes: [`{ route: [${to("all")}] }`, `{ match: [{ uri: { prefix: /api } }], route: [${to("api")}] }`],
      }),
    );
    expect(served({ url: "/api", headers: { host: "api.example.com" } })).toBe("all/stable");
    expect(notes.join("\n")).toContain("http[1] is left out");
  });
});

describe("a Service in every form of its name", () => {
  test.each([
    ["reviews", ["reviews", "reviews.shop", "reviews.shop.svc", "reviews.shop.svc.cluster.local"], ["reviews.other"]],
    [
      "reviews.shop.svc.cluster.local",
      ["reviews", "reviews.shop", "reviews.shop.svc", "reviews.shop.svc.cluster.local"],
      ["shop"],
    ],
    ["reviews.shop.svc", ["reviews", "reviews.shop"], []],
    ["reviews.shop.svc.my.domain", ["reviews", "reviews.shop.svc", "reviews.shop.svc.my.domain"], ["my.domain"]],
    ["reviews.other.svc.cluster.local", ["reviews.other", "reviews.other.svc"], ["reviews", "reviews.shop"]],
    ["reviews.example", ["reviews.example"], ["reviews", "reviews.shop"]],
  ])("%s", (host, answered, others) => {
    const { served } = imported(virtualService({ hosts: `[${host}]`, routes: [`{ route: [${to("shop")}] }`] }));
    for (const one of answered) expect([one, served({ headers: { host: one } })]).toEqual([one, "shop/stable"]);
    for (const one of others) expect([one, served({ headers: { host: one } })]).toEqual([one, undefined]);
  });
});
