import { describe, expect, test } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";
import { imported } from "../asked.ts";
import { ingressRoute, object, rule, through, to, withMiddleware } from "./traefik-manifests.ts";

describe("middlewares", () => {
  test.each([
    ["stripPrefix, which names the prefix", "{ stripPrefix: { prefixes: [/api] } }", /x-forwarded-prefix: \/api/],
    ["stripPrefix, its pattern", "{ stripPrefix: { prefixes: [/api] } }", /pattern: \^\/api\/\?\s+replacement: \//],
    ["addPrefix", "{ addPrefix: { prefix: /x } }", /pattern: \^\/\s+replacement: \/x\//],
    [
      "replacePath, which names the path before",
      "{ replacePath: { path: /x } }",
      /rewrite:\s+path: \/x\s+requestHeaders:\s+set:\s+x-replaced-path: \$\$\{path\}/,
    ],
    [
      "rateLimit by a header",
      "{ rateLimit: { average: 100, sourceCriterion: { requestHeaderName: X-Key } } }",
      /rateLimit:\s+by: by-header-x-key\s+requests: 100/,
    ],
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

  test("stripPrefixRegex, whose alternatives all stand at the start", () => {
    const { config, notes } = imported(withMiddleware("{ stripPrefixRegex: { regex: ['/v[0-9]+|/api'] } }"));
    expect(config).toMatch(/pattern: \^\(\?:\/v\[0-9\]\+\|\/api\)\/\?\s+replacement: \//);
    expect(notes).toEqual([expect.stringContaining("X-Forwarded-Prefix is not sent")]);
  });

  test("of several prefixes each route names its own", () => {
    const spec = "{ stripPrefix: { prefixes: [/api, /v2] } }";
    const { config } = imported(withMiddleware(spec, "PathPrefix(`/api`) || PathPrefix(`/v2`)"));
    expect(config).toMatch(/x-forwarded-prefix: \/api[\s\S]*x-forwarded-prefix: \/v2/);
  });

  test("a limit of a rule that becomes several routes counts for each, which is named", () => {
    const spec = "{ rateLimit: { average: 5 } }";
    const { notes } = imported(withMiddleware(spec, "PathPrefix(`/a`) || PathPrefix(`/b`)"));
    expect(notes.join("\n")).toContain("the route became 2 routes, of which each counts by itself");
  });

  test.each([
    ["a rule without an equivalent", "!PathPrefix(`/open`)", to("shop")],
    ["a page of Traefik", "PathPrefix(`/admin`)", "services: [{ kind: TraefikService, name: noop@internal }]"],
  ])("what protected %s stands first: others may take its requests", (_what, match, services) => {
    const yaml =
      ingressRoute([rule(match, through("it", services)), rule("PathPrefix(`/`)", to("shop"))]) +
      object("Middleware", "it", "{ basicAuth: { secret: users } }");
    const result = importManifests([{ file: "x", text: yaml }]);
    expect(result.ok && result.summary).toMatchObject({ routes: 1, leftOut: 1, lostProtections: 1 });
    expect(result.notes[0]?.what).toMatch(/is left out: .*without what protected them: basicAuth/);
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
    ["passTLSClientCert", "{ passTLSClientCert: { pem: true } }"],
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
