import { describe, expect, test } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";
import { imported } from "../asked.ts";
import { ingressRoute, object, rule, to } from "./traefik-manifests.ts";

describe("entry points", () => {
  const route = [rule("PathPrefix(`/`)", to("shop"))];

  test("web and websecure are the listeners http and https, with the Secret's certificate", () => {
    const { config, served } = imported(
      ingressRoute(route, { spec: "entryPoints: [websecure]\n  tls: { secretName: shop-tls }" }) +
        ingressRoute([rule("Path(`/plain`)", to("plain"))], { spec: "entryPoints: [web]", name: "plain" }),
    );
    expect(config).toContain("certFile: /etc/perch/tls/shop-shop-tls/tls.crt");
    expect(served({ url: "https://shop.example.com/plain" })).toBe("shop/stable");
    expect([served({ url: "/plain" }), served({ url: "/" })]).toEqual(["plain/stable", undefined]);
  });

  test("with tls a route takes nothing over plain HTTP", () => {
    const { config } = imported(ingressRoute(route, { spec: "entryPoints: [web, websecure]\n  tls: {}" }));
    expect(config).toContain("listeners: [ https ]");
    expect(config).not.toContain("name: http\n");
  });

  test("one whose port is not known leaves the route out", () => {
    const result = importManifests([{ file: "x", text: ingressRoute(route, { spec: "entryPoints: [inner]" }) }]);
    expect(result.notes.map(({ what }) => what).join("\n")).toContain("the port of its entry point inner is not known");
  });

  test("one whose port Traefik's own manifest names", () => {
    const traefik = `
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: traefik }
spec: { template: { spec: { containers: [{ name: traefik, args: ["--entryPoints.inner.address=:8888/tcp"] }] } } }
`;
    const { config } = imported(ingressRoute(route, { spec: "entryPoints: [inner]" }) + traefik);
    expect(config).toContain("*:8888");
    expect(config).toContain("listeners: [ port-8888 ]");
  });

  test("one that redirects to https does so before its routes", () => {
    const traefik = `
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: traefik }
spec: { template: { spec: { containers: [{ name: traefik, args: ["--entrypoints.web.http.redirections.entryPoint.to=:443"] }] } } }
`;
    const { config } = imported(ingressRoute(route, { spec: "entryPoints: [web]" }) + traefik);
    expect(config).toMatch(/routes:\n[^-]*- name: web-to-https\n\s+match: \{ listeners: \[ http \], scheme: http \}/);
  });

  const traefikWith = (...args: readonly string[]) => `
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: traefik }
spec: { template: { spec: { containers: [{ name: traefik, args: ${JSON.stringify(args)} }] } } }
`;
  const secure = "--entryPoints.secure.address=:8443";

  test("tls of the object makes a listener of any port one for TLS, with its certificate", () => {
    const spec = "entryPoints: [secure]\n  tls: { secretName: shop-tls }";
    const { config } = imported(ingressRoute(route, { spec }) + traefikWith(secure));
    expect(config).toMatch(/"\*:8443"\s+tls:\s+certificates:\s+- certFile: \/etc\/perch\/tls\/shop-shop-tls/);
  });

  test("so does tls of the entry point", () => {
    const { config, notes } = imported(
      ingressRoute(route, { spec: "entryPoints: [secure]" }) +
        traefikWith(secure, "--entryPoints.secure.http.tls.certResolver=le"),
    );
    expect(config).toMatch(/"\*:8443"\s+tls:/);
    expect(notes.join("\n")).toContain("the entry point secure: where no Secret is named");
  });

  test("routes without tls on the port of routes with it are left out and named", () => {
    const spec = "entryPoints: [secure]\n  tls: { secretName: shop-tls }";
    const { config, notes, served } = imported(
      ingressRoute([rule("Path(`/plain`)", to("plain"))], { spec: "entryPoints: [secure]", name: "plain" }) +
        ingressRoute([rule("Path(`/both`)", to("both"))], { spec: "entryPoints: [web, secure]", name: "both" }) +
        ingressRoute([rule("Path(`/tls`)", to("shop"))], { spec }) +
        traefikWith(secure),
    );
    expect(config).not.toContain("service: plain");
    expect(notes.join("\n")).toMatch(/plain: the route Path\(`\/plain`\) is left out: without `tls`/);
    expect(notes.join("\n")).toContain("both: left out on the entry point secure: without `tls`");
    expect(served({ url: "/both" })).toBe("both/stable");
    expect(config).toMatch(/listeners: \[ http \], path: \{ exact: \/both \}/);
  });

  test("an object without entry points and tls is served on plain ones, beside one with tls", () => {
    const { config } = imported(
      ingressRoute([rule("Path(`/plain`)", to("plain"))], { name: "plain" }) +
        ingressRoute(route, { spec: "tls: { secretName: shop-tls }" }),
    );
    expect(config).toMatch(/listeners: \[ http \], path: \{ exact: \/plain \}/);
    expect(config).toMatch(/listeners: \[ https \] \}\s+service: shop/);
  });

  test("the default entry points are those of Traefik's configuration", () => {
    const { config } = imported(
      ingressRoute([rule("Path(`/plain`)", to("plain"))], { name: "plain" }) +
        ingressRoute(route, { spec: "tls: { secretName: shop-tls }" }) +
        traefikWith("--entryPoints.open.address=:8081", "--entryPoints.traefik.address=:9000", secure),
    );
    expect(config).toMatch(/listeners: \[ port-8081 \], path: \{ exact: \/plain \}/);
    expect(config).toMatch(/listeners: \[ port-8443 \] \}\s+service: shop/);
  });

  const file = (entryPoints: string) => `
---
apiVersion: v1
kind: ConfigMap
metadata: { name: traefik }
data: { traefik.yml: "entryPoints: ${entryPoints}" }
`;
  const values = `
---
apiVersion: helm.cattle.io/v1
kind: HelmChartConfig
metadata: { name: traefik }
spec: { valuesContent: "additionalArguments: [--entryPoints.web.http.middlewares=shop-it@kubernetescrd]" }
`;

  test.each([
    ["arguments", traefikWith("--entryPoints.web.http.middlewares=shop-it@kubernetescrd")],
    ["a file", file("{ web: { address: ':80', http: { middlewares: [shop-it@kubernetescrd] } } }")],
    ["values of Helm", values],
  ])("middlewares of an entry point are those of its routes, from %s", (_what, configuration) => {
    const spec = "entryPoints: [web, websecure]";
    const add = object("Middleware", "it", "{ addPrefix: { prefix: /x } }");
    const { config } = imported(ingressRoute(route, { spec }) + add + configuration);
    expect(config).toMatch(/listeners: \[ http \] \}\s+service: shop\s+rewrite:/);
    expect(config).toMatch(/listeners: \[ https \] \}\s+service: shop\n$/);
    const auth = object("Middleware", "it", "{ basicAuth: { secret: users } }");
    const result = importManifests([{ file: "x", text: ingressRoute(route, { spec }) + auth + configuration }]);
    expect(result.ok && result.summary).toMatchObject({ routes: 1, lostProtections: 1 });
  });

  test("a file may name entry points that redirect", () => {
    const redirections = "{ redirections: { entryPoint: { to: websecure } } }";
    const { config } = imported(
      ingressRoute(route, { spec: "entryPoints: [web]" }) + file(`{ web: { address: ':80', http: ${redirections} } }`),
    );
    expect(config).toContain("web-to-https");
  });

  test("a TLSOption that asks for clients' certificates is lost protection", () => {
    const spec = "entryPoints: [websecure]\n  tls: { options: { name: mutual } }";
    const mutual = object("TLSOption", "mutual", "{ clientAuth: { clientAuthType: RequireAndVerifyClientCert } }");
    for (const yaml of [ingressRoute(route, { spec }), ingressRoute(route, { spec }) + mutual]) {
      const result = importManifests([{ file: "x", text: yaml }]);
      expect(result.notes.filter(({ lostProtection }) => lostProtection)).toHaveLength(1);
    }
  });

  const chart = (ports: string, kind = "HelmChartConfig") => `
---
apiVersion: helm.cattle.io/v1
kind: ${kind}
metadata: { name: traefik }
spec: { valuesContent: "ports: ${ports}" }
`;

  test.each([
    ["redirectTo", "{ web: { redirectTo: { port: websecure } } }"],
    ["redirections", "{ web: { redirections: { entryPoint: { to: websecure, permanent: true } } } }"],
    ["http.redirections", "{ web: { http: { redirections: { entryPoint: { to: websecure } } } } }"],
  ])("ports of the chart: %s", (_what, ports) => {
    const { config } = imported(ingressRoute(route, { spec: "entryPoints: [web]" }) + chart(ports));
    expect(config).toContain("web-to-https");
  });

  test("ports of the chart: numbers, middlewares, and a TLSOption that is not in the input", () => {
    const ports =
      "{ inner: { port: 9000, exposedPort: 9001 }, websecure: { tls: { options: mtls@kubernetescrd }, middlewares: [gone@file] } }";
    const { config, notes } = imported(ingressRoute(route, { spec: "entryPoints: [inner, websecure]" }) + chart(ports));
    expect(config).toContain("*:9001");
    expect(notes[0]).toContain("its TLSOption mtls@kubernetescrd is not in the input");
    expect(notes[1]).toContain("the middleware gone@file is not in the input");
  });

  test("documents without a kind are named; of those of Traefik the entry points are read", () => {
    const values = "---\nports: { web: { redirectTo: websecure } }\n";
    const { config, notes } = imported(ingressRoute(route, { spec: "entryPoints: [web]" }) + values);
    expect(config).toContain("web-to-https");
    expect(notes.join("\n")).toContain("File cluster.yaml: not imported: it has no kind");
  });

  const dynamic = "http: { routers: { a: { rule: Path(`/a`), service: a, middlewares: [auth] } } }";

  test.each([
    ["a document", `---\n${dynamic}\n`, "File cluster.yaml"],
    [
      "a ConfigMap",
      `---\n{ apiVersion: v1, kind: ConfigMap, metadata: { name: dyn }, data: { a.yml: "${dynamic}" } }\n`,
      "ConfigMap default/dyn, a.yml",
    ],
  ])("routes in %s for Traefik's file provider are left out, first", (_what, yaml, where) => {
    const { notes } = imported(ingressRoute(route, { spec: "entryPoints: [web]" }) + yaml);
    expect(notes[0]).toContain(`${where}: left out: routes and middlewares of Traefik in files are not read`);
  });

  test("what else the configuration says is named, or done", () => {
    const { config, notes } = imported(
      ingressRoute([rule("PathPrefix(`/`)", "services: [{ name: shop, port: 443 }]")], { spec: "entryPoints: [web]" }) +
        traefikWith(
          "--entryPoints.web.address=:80",
          "--entryPoints.web.proxyProtocol.trustedIPs=10.0.0.0/8",
          "--entryPoints.web.forwardedHeaders.insecure",
          "--entryPoints.web.http.maxHeaderBytes=100",
          "--entryPoints.web.http.redirections.entryPoint.to=websecure",
          "--entryPoints.web.http.redirections.entryPoint.permanent=false",
          "--serversTransport.insecureSkipVerify=true",
        ),
    );
    expect(config).toMatch(/scheme: https\s+status: 307/);
    expect(config).toContain("insecureSkipVerify: true");
    const all = notes.join("\n");
    for (const one of ["proxyProtocol: set", "forwardedHeaders: set", "http.maxheaderbytes: not imported"]) {
      expect(all).toContain(`the entry point web: ${one}`);
    }
  });

  test("variables of Traefik are named", () => {
    const traefik = traefikWith().replace("args: []", "env: [{ name: TRAEFIK_ENTRYPOINTS_WEB_ADDRESS, value: ':80' }]");
    const { notes } = imported(ingressRoute(route, { spec: "entryPoints: [web]" }) + traefik);
    expect(notes.join("\n")).toContain(
      "TRAEFIK_ENTRYPOINTS_WEB_ADDRESS: variables that configure Traefik are not read",
    );
  });

  test("objects of another class are on listeners of their own", () => {
    const inner = ingressRoute([rule("PathPrefix(`/`)", to("inner"))], { name: "inner", spec: "entryPoints: [web]" });
    const classed = inner.replace(
      "namespace: shop }",
      "namespace: shop, annotations: { kubernetes.io/ingress.class: internal } }",
    );
    const { config, notes } = imported(ingressRoute(route, { spec: "entryPoints: [web]" }) + classed);
    expect(config).toMatch(/listeners: \[ http-2 \] \}\s+service: inner/);
    expect(notes.join("\n")).toContain("has routes of several gateways");
  });
});
