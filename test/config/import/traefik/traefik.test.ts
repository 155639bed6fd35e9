import { describe, expect, test } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";
import { imported } from "../asked.ts";

interface Written {
  readonly group?: string;
  readonly spec?: string;
  readonly name?: string;
}

const ingressRoute = (
  routes: readonly string[],
  { group = "traefik.io", spec = "", name = "shop" }: Written = {},
): string => `
---
apiVersion: ${group}/v1alpha1
kind: IngressRoute
metadata: { name: ${name}, namespace: shop }
spec:
  ${spec}
  routes:
${routes.map((route) => `    - ${route}`).join("\n")}
`;

const object = (kind: string, name: string, spec: string): string => `
---
apiVersion: traefik.io/v1alpha1
kind: ${kind}
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
`;

const rule = (match: string, rest: string) => `{ kind: Rule, match: "${match}", ${rest} }`;
const to = (...names: readonly string[]) =>
  `services: [${names.map((name) => `{ name: ${name}, port: 80 }`).join(", ")}]`;
const through = (name: string, rest = to("shop")) => `middlewares: [{ name: ${name} }], ${rest}`;
const withMiddleware = (spec: string, match = "PathPrefix(`/api`)") =>
  ingressRoute([rule(match, through("it"))]) + object("Middleware", "it", spec);

describe("which route serves a request", () => {
  test.each(["traefik.io", "traefik.containo.us"])("the longer rule first, of the API group %s", (group) => {
    const { served } = imported(
      ingressRoute(
        [
          rule("Host(`shop.example.com`)", to("rest")),
          rule("Host(`shop.example.com`) && PathPrefix(`/api`)", to("api")),
        ],
        { group },
      ),
    );
    expect([served({ url: "/api" }), served({ url: "/apix" }), served({ url: "/" })]).toEqual([
      "api/stable",
      "api/stable",
      "rest/stable",
    ]);
  });

  test("a priority outranks the length", () => {
    const routes = [
      rule("PathPrefix(`/api/long`)", to("long")),
      rule("PathPrefix(`/a`)", `priority: 100, ${to("short")}`),
    ];
    expect(imported(ingressRoute(routes)).served({ url: "/api/long" })).toBe("short/stable");
  });

  test("a rule without an equivalent is left out and counted; the others stay", () => {
    const routes = [
      rule("PathPrefix(`/api`) && ClientIP(`10.0.0.0/8`)", to("inner")),
      rule("PathPrefix(`/`)", to("shop")),
    ];
    const result = importManifests([{ file: "x.yaml", text: ingressRoute(routes) }]);
    expect(result.ok && result.summary).toMatchObject({ routes: 1, leftOut: 1 });
    expect(result.notes.map(({ what }) => what).join("\n")).toContain("ClientIP(`10.0.0.0/8`): routes cannot test");
  });
});

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
});

describe("services", () => {
  const weighted = (more = "") =>
    ingressRoute([rule("PathPrefix(`/`)", "services: [{ kind: TraefikService, name: split }]")]) +
    object(
      "TraefikService",
      "split",
      `{ weighted: { services: [{ name: shop-v1, port: 80, weight: 3 }, { name: shop-v2, port: 80, weight: 1 }]${more} } }`,
    );

  test("weights of a TraefikService", () => {
    const { share, notes } = imported(weighted());
    expect(Math.abs(share("v2") - 0.25)).toBeLessThan(0.05);
    expect(notes.join("\n")).toContain("the weights applied to each request separately");
  });

  test("weights of a route's services, and of TraefikServices within one another", () => {
    const nested =
      weighted().replace(
        "services: [{ kind: TraefikService, name: split }]",
        "services: [{ kind: TraefikService, name: outer }]",
      ) +
      object(
        "TraefikService",
        "outer",
        "{ weighted: { services: [{ kind: TraefikService, name: split, weight: 1 }, { name: shop-v3, port: 80, weight: 1 }] } }",
      );
    const { share } = imported(nested);
    expect([Math.abs(share("v3") - 0.5) < 0.05, Math.abs(share("v2") - 0.125) < 0.05]).toEqual([true, true]);
  });

  test("a sticky cookie keeps users on their version", () => {
    const { config, notes } = imported(
      weighted(", sticky: { cookie: { name: mine, secure: true, sameSite: strict, httpOnly: true } }"),
    );
    expect(config).toMatch(
      /whenWeightsChange: hold\s+onWeightZero: evict\s+cookie:\s+name: mine\s+maxAge: session\s+secure: always\s+sameSite: strict/,
    );
    expect(notes).toEqual([]);
  });

  test("mirroring, to a version of weight zero", () => {
    const { config } = imported(
      ingressRoute([rule("PathPrefix(`/`)", "services: [{ kind: TraefikService, name: copy }]")]) +
        object(
          "TraefikService",
          "copy",
          "{ mirroring: { name: shop-v1, port: 80, mirrors: [{ name: shop-v2, port: 80, percent: 20 }] } }",
        ),
    );
    expect(config).toMatch(/split:\s+v1: 1\s+v2: 0\s+mirror:\s+version: v2\s+percent: 20/);
  });

  test("mirroring of one of several services is a smaller share of all", () => {
    const { config, notes } = imported(
      ingressRoute([rule("PathPrefix(`/`)", "services: [{ kind: TraefikService, name: split }]")]) +
        object(
          "TraefikService",
          "split",
          "{ weighted: { services: [{ name: a, port: 80, weight: 3 }, { kind: TraefikService, name: copy, weight: 1 }] } }",
        ) +
        object(
          "TraefikService",
          "copy",
          "{ mirroring: { name: b, port: 80, mirrors: [{ name: c, port: 80, percent: 10 }] } }",
        ),
    );
    expect(config).toMatch(/split:\s+a: 3\s+b: 1\s+c: 0\s+mirror:\s+version: c\s+percent: 2\.5\n/);
    expect(notes.join("\n")).toContain("10 % of the requests of one of several services were mirrored to c");
  });

  test.each([
    ["a scheme", "{ name: shop, port: 8443, scheme: https }", /https:\/\/shop\.shop:8443/],
    ["port 443", "{ name: shop, port: 443 }", /https:\/\/shop\.shop:443/],
    ["h2c", "{ name: shop, port: 80, scheme: h2c }", /protocol: http2/],
    ["the upstream's own host", "{ name: shop, port: 80, passHostHeader: false }", /rewrite:\s+host: upstream/],
    [
      "no limit on the time to an answer",
      "{ name: shop, port: 80 }",
      /timeouts:\s+connect: 30s\s+responseHeaders: 24d/,
    ],
    [
      "a health check",
      "{ name: shop, port: 80, healthCheck: { path: /ok, interval: 10s } }",
      /health:\s+path: \/ok\s+interval: 10s/,
    ],
  ])("%s", (_what, service, wanted) => {
    expect(imported(ingressRoute([rule("PathPrefix(`/`)", `services: [${service}]`)])).config).toMatch(wanted);
  });

  test("a ServersTransport: verification of certificates, names and times", () => {
    const service = "services: [{ name: shop, port: 443, serversTransport: inner }]";
    const { config, notes } = imported(
      ingressRoute([rule("PathPrefix(`/`)", service)]) +
        object(
          "ServersTransport",
          "inner",
          "{ insecureSkipVerify: true, serverName: inner.example, forwardingTimeouts: { dialTimeout: 5s } }",
        ),
    );
    expect(config).toMatch(/connect: 5s/);
    expect(config).toMatch(/tls:\s+insecureSkipVerify: true\s+serverName: inner\.example/);
    expect(notes).toEqual([]);
  });

  test.each([["rootCAsSecrets: [roots]"], ["rootCAs: [{ secret: roots }]"]])("root certificates: %s", (roots) => {
    const service = "services: [{ name: shop, port: 443, serversTransport: inner }]";
    const { config, notes } = imported(
      ingressRoute([rule("PathPrefix(`/`)", service)]) + object("ServersTransport", "inner", `{ ${roots} }`),
    );
    expect(config).toMatch(/tls:\s+ca: \/etc\/perch\/tls\/shop-roots\/ca\.crt/);
    expect(notes).toEqual([]);
  });

  test("verification is skipped only if it was for all versions", () => {
    const services = "services: [{ name: shop-v1, port: 443 }, { name: shop-v2, port: 443, serversTransport: inner }]";
    const { config } = imported(
      ingressRoute([rule("PathPrefix(`/`)", services)]) +
        object("ServersTransport", "inner", "{ insecureSkipVerify: true }"),
    );
    expect(config).not.toContain("insecureSkipVerify");
  });

  test("a session on one Pod is noted", () => {
    const service = "services: [{ name: shop, port: 80, sticky: { cookie: {} } }]";
    expect(imported(ingressRoute([rule("PathPrefix(`/`)", service)])).notes.join("\n")).toContain(
      "kept a client on one Pod",
    );
  });
});

describe("middlewares", () => {
  test.each([
    ["stripPrefix, which names the prefix", "{ stripPrefix: { prefixes: [/api] } }", /x-forwarded-prefix: \/api/],
    ["stripPrefix, its pattern", "{ stripPrefix: { prefixes: [/api] } }", /pattern: \^\/api\/\?\s+replacement: \//],
    [
      "stripPrefixRegex",
      "{ stripPrefixRegex: { regex: ['/v[0-9]+'] } }",
      /pattern: \^\/v\[0-9\]\+\/\?\s+replacement: \//,
    ],
    ["addPrefix", "{ addPrefix: { prefix: /x } }", /pattern: \^\/\s+replacement: \/x\//],
    ["replacePath", "{ replacePath: { path: /x } }", /rewrite:\s+path: \/x/],
    [
      "replacePathRegex",
      `{ replacePathRegex: { regex: '^/api/(.*)', replacement: '/x/\${1}' } }`,
      /replacement: \/x\/\$1/,
    ],
    [
      "rateLimit",
      "{ rateLimit: { average: 100, period: 1m, burst: 50 } }",
      /rateLimit:\s+requests: 100\s+per: 1m\s+burst: 50/,
    ],
    [
      "retry",
      "{ retry: { attempts: 3 } }",
      /retries:\s+attempts: 2\s+on:\s+- connect-failure\s+- reset-before-response/,
    ],
    ["buffering", "{ buffering: { maxRequestBodyBytes: 1000 } }", /maxBodySize: 1000/],
    [
      "headers that are set and removed",
      "{ headers: { customRequestHeaders: { X-A: '1', X-B: '' } } }",
      /requestHeaders:\s+set:\s+x-a: "1"\s+remove:\s+- x-b/,
    ],
    [
      "headers for browsers",
      "{ headers: { stsSeconds: 60, stsIncludeSubdomains: true, frameDeny: true } }",
      /strict-transport-security: max-age=60; includeSubDomains\s+x-frame-options: DENY/,
    ],
    [
      "CORS",
      "{ headers: { accessControlAllowOriginList: ['https://a.example'], accessControlAllowMethods: [PUT] } }",
      /cors:\s+allowOrigins:\s+- https:\/\/a\.example\s+allowMethods:\s+- PUT/,
    ],
  ])("%s", (_what, spec, wanted) => {
    const { config, notes } = imported(withMiddleware(spec));
    expect(config).toMatch(wanted);
    expect(notes).toEqual([]);
  });

  test("of two rate limits the stricter is written, in either order, and the other named", () => {
    for (const order of ["{ name: low }, { name: high }", "{ name: high }, { name: low }"]) {
      const { config, notes } = imported(
        ingressRoute([rule("PathPrefix(`/`)", `middlewares: [${order}], ${to("shop")}`)]) +
          object("Middleware", "low", "{ rateLimit: { average: 100, period: 1m, burst: 5 } }") +
          object("Middleware", "high", "{ rateLimit: { average: 50, burst: 50 } }"),
      );
      expect(config).toMatch(/rateLimit:\s+requests: 100\s+per: 1m\s+burst: 5\n/);
      expect(notes.join("\n")).toContain("rateLimit of Middleware shop/high: a route has one limit");
    }
  });

  const twoHeaders = (key: string) =>
    ingressRoute([rule("PathPrefix(`/`)", `middlewares: [{ name: h1 }, { name: h2 }], ${to("shop")}`)]) +
    object("Middleware", "h1", `{ headers: { ${key}: { X-User: '', Authorization: a } } }`) +
    object("Middleware", "h2", `{ headers: { ${key}: { X-User: b, authorization: '' } } }`);

  test.each([
    ["request", "the later", /requestHeaders:\s+set:\s+x-user: b\s+remove:\s+- authorization\n$/],
    ["response", "the first", /responseHeaders:\s+set:\s+authorization: a\s+remove:\s+- x-user\n$/],
  ])("of two edits of a header of a %s %s wins", (message, _which, wanted) => {
    const key = message === "request" ? "customRequestHeaders" : "customResponseHeaders";
    expect(imported(twoHeaders(key)).config).toMatch(wanted);
  });

  test("of two spellings of a header in one middleware the later wins", () => {
    const { config } = imported(withMiddleware("{ headers: { customRequestHeaders: { X-A: '', x-a: '1' } } }"));
    expect(config).toMatch(/requestHeaders:\s+set:\s+x-a: "1"\n$/);
  });

  test("a chain applies its middlewares in order", () => {
    const chain =
      ingressRoute([rule("PathPrefix(`/api`)", through("all"))]) +
      object("Middleware", "all", "{ chain: { middlewares: [{ name: strip }, { name: add }] } }") +
      object("Middleware", "strip", "{ stripPrefix: { prefixes: [/api] } }") +
      object("Middleware", "add", "{ addPrefix: { prefix: /v2 } }");
    expect(imported(chain).config).toMatch(/pattern: \^\/api\/\?\s+replacement: \/v2\//);
  });

  test("one of another namespace, by its name in other providers", () => {
    const yaml = ingressRoute([rule("PathPrefix(`/`)", through("shop-it@kubernetescrd"))]);
    expect(imported(yaml + object("Middleware", "it", "{ addPrefix: { prefix: /x } }")).notes).toEqual([]);
  });

  test.each([
    ["basicAuth", "{ basicAuth: { secret: users } }"],
    ["forwardAuth", "{ forwardAuth: { address: 'http://auth' } }"],
    ["ipAllowList", "{ ipAllowList: { sourceRange: [10.0.0.0/8] } }"],
    ["ipWhiteList", "{ ipWhiteList: { sourceRange: [10.0.0.0/8] } }"],
    ["a plugin", "{ plugin: { wall: {} } }"],
    ["an unknown type", "{ gate: {} }"],
  ])("%s is lost protection", (_what, spec) => {
    const result = importManifests([{ file: "x", text: withMiddleware(spec) }]);
    expect(result.notes.filter(({ lostProtection }) => lostProtection)).toHaveLength(1);
    expect(result.ok && result.defects).toEqual([]);
  });

  test("those of a single service of a TraefikService are lost protection", () => {
    const yaml =
      ingressRoute([rule("PathPrefix(`/`)", "services: [{ kind: TraefikService, name: split }]")]) +
      object(
        "TraefikService",
        "split",
        "{ weighted: { services: [{ name: shop, port: 80, middlewares: [{ name: it }] }] } }",
      );
    const result = importManifests([{ file: "x", text: yaml }]);
    expect(result.notes[0]).toMatchObject({ where: "TraefikService shop/split", lostProtection: true });
  });

  test("one that is not in the input may protect", () => {
    const result = importManifests([
      { file: "x", text: ingressRoute([rule("PathPrefix(`/`)", through("gone@file"))]) },
    ]);
    expect(result.notes[0]).toMatchObject({ lostProtection: true });
  });

  test.each([
    ["two changes of the path that do not combine", "{ chain: { middlewares: [{ name: it2 }, { name: it2 }] } }"],
    [
      "a redirect by a pattern without an equivalent",
      `{ redirectRegex: { regex: '^https?://(.*)/old(.*)', replacement: 'https://\${1}/new\${2}' } }`,
    ],
  ])("%s leaves the route out", (_what, spec) => {
    const yaml = withMiddleware(spec) + object("Middleware", "it2", "{ stripPrefix: { prefixes: [/api] } }");
    const result = importManifests([{ file: "x", text: yaml }]);
    expect([result.ok, result.notes.filter(({ leftOut }) => leftOut).length]).toEqual([false, 1]);
  });
});

describe("redirects", () => {
  test("to https: plain requests are redirected, others served", () => {
    const { config, served } = imported(withMiddleware("{ redirectScheme: { scheme: https, permanent: true } }"));
    expect(config).toMatch(/scheme: http,? [\s\S]*redirect:\s+scheme: https\s+status: 308/);
    expect([served({ url: "/api" }), served({ url: "https://shop.example.com/api" })]).toEqual([
      undefined,
      "shop/stable",
    ]);
  });

  test("of a route whose service does not exist", () => {
    const noop = "middlewares: [{ name: it }], services: [{ kind: TraefikService, name: noop@internal }]";
    const { config, notes } = imported(
      ingressRoute([rule("PathPrefix(`/`)", noop)], { spec: "entryPoints: [web]" }) +
        object("Middleware", "it", "{ redirectScheme: { scheme: https, port: '443' } }"),
    );
    expect(config).toMatch(/redirect:\s+scheme: https\s+status: 307/);
    expect(notes).toEqual([]);
  });

  test.each([
    ["the scheme", "^http://(.*)", `https://\${1}`, /scheme: http [\s\S]*redirect:\s+scheme: https/],
    [
      "the host",
      "^https?://www\\.example\\.com/(.*)",
      `https://example.com/\${1}`,
      /hosts: \[ www\.example\.com \][\s\S]*redirect:\s+scheme: https\s+host: example\.com/,
    ],
  ])("of %s, by a pattern", (_what, regex, replacement, wanted) => {
    const spec = `{ redirectRegex: { regex: '${regex}', replacement: '${replacement}', permanent: true } }`;
    expect(imported(withMiddleware(spec, "PathPrefix(`/`)")).config).toMatch(wanted);
  });
});

test("routes of TCP and UDP are left out and named", () => {
  const result = importManifests([
    { file: "x", text: object("IngressRouteTCP", "db", "{}") + object("IngressRouteUDP", "dns", "{}") },
  ]);
  expect(result.notes.map(({ where, leftOut }) => [where, leftOut])).toEqual([
    ["IngressRouteTCP shop/db", true],
    ["IngressRouteUDP shop/dns", true],
  ]);
});
