import { describe, expect, test } from "vitest";
import { importedRoutes, route, to } from "./manifests.ts";

const service = (name: string, ports: string, namespace = "shop") =>
  `\napiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: { ports: ${ports} }\n`;

const one = (refs: string, more = "") => route("app", [`{ ${more}backendRefs: [${refs}] }`]);

describe("a backend that is not valid gets an error for its share of the requests", () => {
  test("a single backend of weight 0: 500", () => {
    const { config } = importedRoutes(one(to("shop", "weight: 0")));
    expect(config).toMatch(/service: shop\n {4}fault:\s+abort:\s+status: 500/);
    expect(config).not.toContain("releases:");
  });

  test("several, all of weight 0: 500", () => {
    const { config } = importedRoutes(one(`${to("shop", "weight: 0")}, ${to("shop-canary", "weight: 0")}`));
    expect(config).toMatch(/service: shop\n {4}fault:\s+abort:\s+status: 500/);
  });

  test("where nothing is left but errors, there is nothing to import", () => {
    expect(importedRoutes(one("{ kind: Bucket, name: files }")).config).toBe("");
  });

  test("no backend, also where a later route would match: 500", () => {
    const { routeOf, config } = importedRoutes(
      route("gone", ["{ matches: [{ path: { value: /api } }] }", `{ backendRefs: [${to("shop")}] }`]),
    );
    expect(routeOf({ url: "/api" })).toBe("gone");
    expect(config).toMatch(/name: gone\n {4}match: .*\n {4}service: no-backend\n {4}fault:\s+abort:\s+status: 500/);
  });

  test("one of several, of a kind that is no Service: its share", () => {
    const refs = `${to("shop", "weight: 3")}, { group: example.com, kind: Bucket, name: files, weight: 1 }`;
    const { config, notes } = importedRoutes(one(refs));
    expect(config).toMatch(/service: shop\n {4}fault:\s+abort:\s+status: 500\s+percent: 25\n/);
    expect(notes.join("\n")).toContain("a backend of kind example.com/Bucket has no equivalent");
  });

  test("of a ServiceImport the name of the cluster set is called", () => {
    const ref = "{ group: multicluster.x-k8s.io, kind: ServiceImport, name: shop, port: 8080 }";
    expect(importedRoutes(one(ref)).config).toContain("http://shop.shop.svc.clusterset.local:8080");
  });

  test("of another namespace: as ReferenceGrants say, where that namespace has any in the input", () => {
    const grant = (from: string) => `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: { name: grant, namespace: other }
spec:
  from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: ${from} }]
  to: [{ group: "", kind: Service }]
`;
    const app = one(to("shop", "namespace: other"));
    expect(importedRoutes(grant("shop"), app).config).toContain("http://shop.other:80");
    const other = route("z", [`{ matches: [{ path: { value: /z } }], backendRefs: [${to("z")}] }`]);
    expect(importedRoutes(grant("third"), app, other).config).toMatch(
      /service: no-backend\n {4}fault:\s+abort:\s+status: 500/,
    );
    const { config, notes } = importedRoutes(app);
    expect(config).toContain("http://shop.other:80");
    expect(notes.join("\n")).toContain("needs a ReferenceGrant there");
  });
});

describe("the protocol of a Service's port", () => {
  test.each([
    ["{ port: 80, appProtocol: kubernetes.io/h2c }", true],
    ["{ port: 80, name: grpc }", true],
    ["{ port: 80, name: grpc-api }", true],
    ["{ port: 80, name: grpc, appProtocol: http }", false],
    ["{ port: 80, name: web, appProtocol: kubernetes.io/ws }", false],
    ["{ port: 81, name: grpc }", false],
  ])("%s: HTTP/2 %s", (port, isHttp2) => {
    const { config } = importedRoutes(service("shop", `[${port}]`), one(to("shop")));
    expect(config.includes("protocol: http2")).toBe(isHttp2);
  });

  test("that backends of one rule do not share is named", () => {
    const services = [service("a", "[{ port: 80, name: grpc }]"), service("b", "[{ port: 80 }]")];
    const { config, notes } = importedRoutes(...services, one(`${to("a")}, ${to("b")}`));
    expect(config).not.toContain("protocol:");
    expect(notes.join("\n")).toContain("the backends a speak HTTP/2 and the others of the rule do not");
  });
});

describe("BackendTLSPolicies", () => {
  const policy = (validation: string, target = "") => `
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: { name: tls, namespace: shop }
spec:
  targetRefs: [{ group: "", kind: Service, name: shop${target} }]
  validation: ${validation}
`;
  const port = service("shop", "[{ name: web, port: 80 }]");

  test("encrypt, and verify the name", () => {
    const { config } = importedRoutes(
      port,
      policy("{ hostname: shop.internal, wellKnownCACertificates: System }"),
      one(to("shop")),
    );
    expect(config).toMatch(/https:\/\/shop\.shop:80[\s\S]*tls:\s+serverName: shop\.internal/);
  });

  test("of another port are not applied", () => {
    const other = policy("{ hostname: shop.internal, wellKnownCACertificates: System }", ", sectionName: other");
    expect(importedRoutes(port, other, one(to("shop"))).config).toContain("http://shop.shop:80");
  });

  test("CAs of a ConfigMap, and other names, are named", () => {
    const { config, notes, lost } = importedRoutes(
      policy(
        "{ hostname: s.internal, caCertificateRefs: [{ kind: ConfigMap, name: ca }], subjectAltNames: [{ type: URI }] }",
      ),
      one(to("shop")),
    );
    expect(config).toMatch(/tls:\s+ca: \/etc\/perch\/tls\/shop-ca\/ca\.crt\s+serverName: s\.internal/);
    expect(notes.join("\n")).toContain("mount the CAs of ConfigMap ca (ca.crt) as /etc/perch/tls/shop-ca/ca.crt");
    expect(lost.join("\n")).toContain("validation.subjectAltNames");
  });
});

describe("filters of a backend", () => {
  const edits = (value: string) =>
    `filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-V, value: ${value} }] } }]`;

  test("edits of headers are those of its version", () => {
    const { config } = importedRoutes(one(`${to("shop", edits("stable"))}, ${to("shop-canary", edits("canary"))}`));
    expect(config).toMatch(/stable:\s+endpoints:\s+- http:\/\/shop\.shop:80\s+requestHeaders:\s+set:\s+x-v: stable/);
    expect(config).toMatch(/canary:\s+endpoints:\s+- .*\s+requestHeaders:\s+set:\s+x-v: canary/);
  });

  const rewrite =
    "filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /new } } }]";

  test("others are those of the route, if the backend is the only one", () => {
    expect(importedRoutes(one(to("shop", rewrite))).config).toMatch(/rewrite:\s+path: \/new/);
  });

  test("others are named, if there are several", () => {
    const { notes, config } = importedRoutes(one(`${to("a", rewrite)}, ${to("b")}`));
    expect(config).not.toContain("rewrite");
    expect(notes.join("\n")).toContain("a version has no equivalent of the filter URLRewrite");
  });
});

describe("timeouts", () => {
  test("without any, Perch's own defaults do not end a request", () => {
    const { config, notes } = importedRoutes(one(to("shop")));
    expect(config).toMatch(/timeouts:\s+connect: 10s\s+responseHeaders: 24d\s+idle: 24d/);
    expect(notes.join("\n")).toContain("Written as no limit (24d)");
  });

  test("a request may take as long as the rule says, although Perch's default for its first byte is shorter", () => {
    const { config } = importedRoutes(one(to("shop"), "timeouts: { request: 2m }, "));
    expect(config).toMatch(/ {4}timeouts:\s+connect: 10s\s+responseHeaders: 24d/);
    expect(config).toMatch(/service: shop\n {4}timeouts:\s+total: 2m\n/);
  });

  test("zero is no limit", () => {
    const { config } = importedRoutes(one(to("shop"), "timeouts: { request: 0s, backendRequest: 0s }, "));
    expect(config).not.toContain("total:");
    expect(config).toContain("responseHeaders: 24d");
  });
});

test("retry: attempts of 0 turn retries off", () => {
  const { config } = importedRoutes(one(to("shop"), "retry: { attempts: 0 }, "));
  expect(config).toMatch(/retries:\s+attempts: 0/);
});
