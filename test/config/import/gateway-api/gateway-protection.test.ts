import { describe, expect, test } from "vitest";
import { gateway, importedRoutes, route, to } from "./manifests.ts";

const http = "{ name: http, port: 80, protocol: HTTP }";

describe("Client certificates", () => {
  const https = (name: string, hostname: string, more = "") =>
    `{ name: ${name}, port: 443, protocol: HTTPS, hostname: ${hostname}, tls: { certificateRefs: [{ name: cert }]${more} } }`;
  const withTls = (listeners: readonly string[], tls: string) =>
    gateway(listeners).replace("spec:\n", () => `spec:\n  tls: ${tls}\n`);
  const web = route("web", [`{ backendRefs: [${to("web")}] }`]);
  const validation = (name: string, more = "") => `{ caCertificateRefs: [{ kind: ConfigMap, name: ${name} }]${more} }`;
  const one = [https("a", "a.example.com")];

  test.each([
    ["of all ports of a Gateway", withTls(one, `{ frontend: { default: { validation: ${validation("ca")} } } }`)],
    [
      "of one port",
      withTls(
        one,
        `{ frontend: { default: {}, perPort: [{ port: 443, tls: { validation: ${validation("ca")} } }, { port: 8443 }] } }`,
      ),
    ],
    [
      "of a listener, in the older form",
      gateway([https("a", "a.example.com", `, frontendValidation: ${validation("ca")}`)]),
    ],
  ])("%s become clientCa", (_what, yaml) => {
    const { config, lost, notes } = importedRoutes(yaml, web);
    expect(config).toMatch(/clientCa: \/etc\/perch\/tls\/shop-ca\/ca\.crt/);
    expect(lost).toEqual([]);
    expect(notes.join("\n")).toContain("mount the CAs of ConfigMap ca (ca.crt)");
  });

  test.each([
    [
      "that are optional",
      withTls(one, `{ frontend: { default: { validation: ${validation("ca", ", mode: AllowInsecureFallback")} } } }`),
    ],
    [
      "of one host of a port only",
      gateway([https("a", "a.example.com", `, frontendValidation: ${validation("ca")}`), https("b", "b.example.com")]),
    ],
    [
      "of an unknown kind",
      withTls(
        one,
        "{ frontend: { default: { validation: { caCertificateRefs: [{ group: x, kind: Bundle, name: y }] } } } }",
      ),
    ],
  ])("%s are lost", (_what, yaml) => {
    const { config, lost } = importedRoutes(yaml, web);
    expect(config).not.toMatch(/^ *clientCa:/m);
    expect(lost.join()).toContain("clients needed a certificate");
  });

  test("a port for plain HTTP asks for none", () => {
    const yaml = withTls([http], `{ frontend: { default: { validation: ${validation("ca")} } } }`);
    expect(importedRoutes(yaml, web).lost).toEqual([]);
  });
});

describe("A rewrite without an equivalent", () => {
  test.each([
    [
      "a path that is none",
      "path: { type: PathPrefix, value: /v1 }",
      "{ type: ReplacePrefixMatch, replacePrefixMatch: /a b }",
    ],
    [
      "a prefix of a pattern",
      "path: { type: RegularExpression, value: /v1.* }",
      "{ type: ReplacePrefixMatch, replacePrefixMatch: /a }",
    ],
  ])("%s: its requests do not get there as they are", (_what, match, path) => {
    const rule = `{ name: inner, matches: [{ ${match} }], filters: [{ type: URLRewrite, urlRewrite: { path: ${path} } }], backendRefs: [${to("web")}] }`;
    const { notes, routeOf } = importedRoutes(
      gateway([http]),
      route("web", [rule, `{ name: rest, backendRefs: [${to("rest")}] }`]),
    );
    expect(routeOf({ url: "/v1/x", listener: "http" })).toBe("rest");
    expect(notes.join("\n")).toContain("so the rule is left out; later routes match its requests");
  });
});

test("a redirect whose path has no equivalent is left out, and does not lead to the path of the request", () => {
  const redirect = "{ hostname: new.example.com, path: { type: ReplaceFullPath, replaceFullPath: '/x?y=1' } }";
  const rule = `{ matches: [{ path: { value: /old } }], filters: [{ type: RequestRedirect, requestRedirect: ${redirect} }] }`;
  const { config, notes } = importedRoutes(
    gateway([http]),
    route("web", [rule, `{ name: rest, backendRefs: [${to("rest")}] }`]),
  );
  expect(config).not.toContain("new.example.com");
  expect(notes.join("\n")).toContain("requestRedirect.path.replaceFullPath: no equivalent, so the rule is left out");
});

describe("Backends", () => {
  const service = (ports: string, more = "") => `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ${more}ports: ${ports} }
`;
  const web = route("web", [`{ backendRefs: [${to("web")}] }`]);

  test.each(["https", "HTTPS", "kubernetes.io/wss"])("TLS by appProtocol %s is named first", (protocol) => {
    const { lost } = importedRoutes(gateway([http]), web, service(`[{ port: 80, appProtocol: ${protocol} }]`));
    expect(lost.join()).toContain(`appProtocol ${protocol} of its Service: where the gateway spoke TLS for it`);
  });

  test("the name of a headless Service has the ports of its Pods", () => {
    const { config } = importedRoutes(
      gateway([http]),
      web,
      service("[{ port: 80, targetPort: 8080 }]", "clusterIP: None, "),
    );
    expect(config).toContain("http://web.shop:8080");
  });
});

test("a listener with from: Selector and no selector has no routes of other namespaces", () => {
  const listeners = ["{ name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: Selector } } }"];
  const other = route("web", [`{ backendRefs: [${to("web")}] }`], {
    namespace: "other",
    parents: "[{ name: gateway, namespace: shop }]",
  });
  expect(importedRoutes(gateway(listeners), other).config).toBe("");
});
