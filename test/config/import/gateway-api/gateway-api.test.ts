import { describe, expect, test } from "vitest";
import { imported } from "../asked.ts";

/** An HTTPRoute for shop.example.com with these rules in YAML. */
function httpRoute(rules: readonly string[], hostnames = "[shop.example.com]", name = "shop"): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: shop }
spec:
  parentRefs: [{ name: gateway }]
  hostnames: ${hostnames}
  rules:
${rules.map((rule) => `    - ${rule}`).join("\n")}
`;
}

const to = (name: string, weight?: number) =>
  `{ name: ${name}, port: 80${weight === undefined ? "" : `, weight: ${weight}`} }`;

describe("which rule matches a request: the precedence of Gateway API, regardless of file order", () => {
  const rules = [
    `{ backendRefs: [${to("any")}] }`,
    `{ matches: [{ path: { type: PathPrefix, value: /api } }], backendRefs: [${to("short")}] }`,
    `{ matches: [{ path: { type: PathPrefix, value: /api/v2 } }], backendRefs: [${to("long")}] }`,
    `{ matches: [{ path: { type: PathPrefix, value: /api }, method: POST }], backendRefs: [${to("method")}] }`,
    `{ matches: [{ path: { type: PathPrefix, value: /api }, headers: [{ name: X-Team, value: blue }] }], backendRefs: [${to("header")}] }`,
    `{ matches: [{ path: { type: PathPrefix, value: /api }, headers: [{ name: X-Team, value: blue }, { name: X-Beta, value: "1" }] }], backendRefs: [${to("headers")}] }`,
    `{ matches: [{ path: { type: PathPrefix, value: /api }, queryParams: [{ name: q, value: x }] }], backendRefs: [${to("query")}] }`,
    `{ matches: [{ path: { type: Exact, value: /api/v2/exact } }], backendRefs: [${to("exact")}] }`,
  ];
  test.each([
    ["GET", "/", {}, "any"],
    ["GET", "/apix", {}, "any"],
    ["GET", "/api", {}, "short"],
    ["GET", "/api/v2/x", {}, "long"],
    ["GET", "/api/v2/exact", {}, "exact"],
    ["POST", "/api", { "x-team": "blue" }, "method"],
    ["GET", "/api", { "x-team": "blue" }, "header"],
    ["GET", "/api", { "x-team": "green" }, "short"],
    ["GET", "/api", { "x-team": "blue", "x-beta": "1" }, "headers"],
    ["GET", "/api?q=x", {}, "query"],
  ])("%s %s %o: %s", (method, url, headers: Record<string, string>, service) => {
    expect(imported(httpRoute(rules)).served({ method, url, headers })).toBe(`${service}/stable`);
  });

  test("exact hosts come before wildcards, longer ones first", () => {
    const routes = [
      httpRoute([`{ backendRefs: [${to("wild")}] }`], '["*.example.com"]', "a"),
      httpRoute([`{ backendRefs: [${to("deep")}] }`], '["*.shop.example.com"]', "b"),
      httpRoute([`{ backendRefs: [${to("exact")}] }`], "[shop.example.com]", "c"),
    ].join("---");
    const { served } = imported(routes);
    expect(served({ headers: { host: "shop.example.com" } })).toBe("exact/stable");
    expect(served({ headers: { host: "a.shop.example.com" } })).toBe("deep/stable");
    expect(served({ headers: { host: "other.example.com" } })).toBe("wild/stable");
  });

  test("the matches of a rule are alternatives", () => {
    const rule = `{ matches: [{ path: { value: /a } }, { headers: [{ name: x, type: RegularExpression, value: "[0-9]+" }] }], backendRefs: [${to("both")}] }`;
    const { served } = imported(httpRoute([rule]));
    expect(served({ url: "/a" })).toBe("both/stable");
    expect(served({ headers: { x: "12" } })).toBe("both/stable");
    expect(served({ headers: { x: "12a" } })).toBeUndefined();
  });
});

describe("weights", () => {
  test("are shares of their sum, and versions are named by the difference of their Services", () => {
    const { config, share } = imported(httpRoute([`{ backendRefs: [${to("shop-blue", 3)}, ${to("shop-green", 1)}] }`]));
    expect(config).toMatch(/split:\s+blue: 3\s+green: 1/);
    expect(Math.abs(share("green") - 0.25)).toBeLessThan(0.05);
  });

  test("of two rules with the same backends and weights become one release, so that a user has one version", () => {
    const refs = `backendRefs: [${to("shop", 90)}, ${to("shop-canary", 10)}]`;
    const { config } = imported(
      httpRoute([`{ matches: [{ path: { value: /a } }], ${refs} }`, `{ matches: [{ path: { value: /b } }], ${refs} }`]),
    );
    expect(config.match(/split:/g)).toHaveLength(1);
    expect(config.match(/release: shop/g)).toHaveLength(2);
  });

  test("of zero get no users", () => {
    expect(imported(httpRoute([`{ backendRefs: [${to("a", 1)}, ${to("b", 0)}] }`])).share("b")).toBe(0);
  });

  test("with session persistence hold their users, as GEP-1619 requires", () => {
    const rule = `{ sessionPersistence: { absoluteTimeout: 1h30m }, backendRefs: [${to("a", 1)}, ${to("b", 1)}] }`;
    expect(imported(httpRoute([rule])).config).toMatch(
      /whenWeightsChange: hold\s+onWeightZero: drain\s+cookie:\s+maxAge: 5400s/,
    );
  });
});

describe("filters and timeouts", () => {
  const filtered = (filter: string) =>
    imported(
      httpRoute([
        `{ filters: [${filter}], backendRefs: [${to("shop")}] }`,
        `{ matches: [{ path: { value: /rest } }], backendRefs: [${to("rest")}] }`,
      ]),
    ).config;

  test.each([
    [
      "request headers",
      "{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-A, value: b }], remove: [X-C] } }",
      /requestHeaders:\s+set:\s+x-a: b\s+remove:\s+- x-c/,
    ],
    [
      "response headers",
      "{ type: ResponseHeaderModifier, responseHeaderModifier: { add: [{ name: X-A, value: b }] } }",
      /responseHeaders:\s+add:\s+x-a: b/,
    ],
    [
      "a rewritten prefix",
      "{ type: URLRewrite, urlRewrite: { hostname: in.example.com, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } } }",
      /rewrite:\s+host: in\.example\.com\s+prefix: \/new/,
    ],
    [
      "CORS, whose headers no other edit may set",
      "{ type: CORS, cors: { allowOrigins: [https://a.example], maxAge: 10 } }, { type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: Access-Control-Allow-Origin, value: x }] } }",
      /cors:\s+allowOrigins:\s+- https:\/\/a\.example\s+maxAge: 10s\s*$/,
    ],
    [
      "a rewritten path",
      "{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /new } } }",
      /rewrite:\s+path: \/new/,
    ],
    [
      "a redirect, which has no service",
      "{ type: RequestRedirect, requestRedirect: { scheme: https, statusCode: 301 } }",
      /match: .*\s+redirect:\s+scheme: https\s+status: 301/,
    ],
  ])("%s", (_what, filter, wanted) => {
    expect(filtered(filter)).toMatch(wanted);
  });

  test("timeouts", () => {
    const rule = `{ timeouts: { request: 1m30s, backendRequest: 500ms }, backendRefs: [${to("shop")}] }`;
    expect(imported(httpRoute([rule])).config).toMatch(/timeouts:\s+total: 90s\s+responseHeaders: 500ms/);
  });

  test("a value that Perch would read as a template is noted and left out", () => {
    const filter = `{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-A, value: "$\{host}" }] } }`;
    const { config, notes } = imported(httpRoute([`{ filters: [${filter}], backendRefs: [${to("shop")}] }`]));
    expect(config).toMatch(/requestHeaders:\s+remove:\s+- x-a\s/);
    expect(config).not.toContain("set:");
    expect(notes.join()).toContain("the request header X-A is left out");
  });

  test("one without an equivalent is noted", () => {
    const { notes } = imported(httpRoute([`{ filters: [{ type: ExtensionRef }], backendRefs: [${to("shop")}] }`]));
    expect(notes).toContain("HTTPRoute shop/shop: the filter ExtensionRef: no equivalent");
  });
});

describe("retry and sessionPersistence", () => {
  const rule =
    "{ retry: { attempts: 4, codes: [500, 503], backoff: 100ms }, sessionPersistence: { type: Header, sessionName: x-sess }, " +
    `backendRefs: [${to("a", 90)}, ${to("b", 10)}] }`;

  test("retry becomes the service's retries, and a note names the back-off", () => {
    const { config, notes } = imported(httpRoute([rule]));
    expect(config).toMatch(/retries:\s+attempts: 4\s+on:\s+- 500\s+- 503\n/);
    expect(notes).toContain(
      "HTTPRoute shop/shop: rules[0].retry.backoff: no equivalent: Perch retries at once, on another endpoint if there is one",
    );
  });

  test("a status that Perch does not retry is named", () => {
    const { config, notes } = imported(httpRoute([`{ retry: { codes: [429, 502] }, backendRefs: [${to("a")}] }`]));
    expect(config).toMatch(/retries:\s+on:\s+- 502\n/);
    expect(notes.join("\n")).toContain("rules[0].retry.codes: 429 cannot be retried");
  });

  test("persistence by header is noted", () => {
    expect(imported(httpRoute([rule])).notes.join("\n")).toContain(
      "rules[0].sessionPersistence.type Header: no equivalent",
    );
  });

  test("persistence by a cookie of the browser's session, the default, keeps its name and its end", () => {
    const refs = `backendRefs: [${to("a", 90)}, ${to("b", 10)}]`;
    const persistent = (settings: string) =>
      imported(httpRoute([`{ sessionPersistence: ${settings}, ${refs} }`])).config;
    expect(persistent("{ sessionName: sess }")).toMatch(/cookie:\s+name: sess\s+maxAge: session/);
    expect(persistent("{ absoluteTimeout: 1h, cookieConfig: { lifetimeType: Permanent } }")).toMatch(
      /cookie:\s+maxAge: 1h/,
    );
  });

  test("of one backend keeps users on one of its Pods, by hash", () => {
    const one = `{ sessionPersistence: { sessionName: s }, backendRefs: [${to("a")}] }`;
    const { config, notes } = imported(httpRoute([one]));
    expect(config).toMatch(/balance: hash/);
    expect(config).toMatch(/whenWeightsChange: hold\s+cookie:\s+name: s\s+maxAge: session/);
    expect(notes.join("\n")).toContain("use a headless Service");
  });

  test("of one backend with a headless Service has its Pods as endpoints", () => {
    const one = `{ sessionPersistence: { sessionName: s }, backendRefs: [${to("a")}] }`;
    const service =
      "apiVersion: v1\nkind: Service\nmetadata: { name: a, namespace: shop }\n" +
      "spec: { clusterIP: None, ports: [{ port: 80, targetPort: 8080 }] }\n";
    const { config, notes } = imported([service, httpRoute([one])].join("---"));
    expect(config).toMatch(/endpoints:\s+- dns: a\.shop\s+port: 8080\s+balance: hash/);
    expect(notes.join("\n")).not.toContain("headless");
  });
});

test("a match that Perch cannot express is left out, instead of matching more", () => {
  const rules = [
    `{ matches: [{ path: { type: RegularExpression, value: "/(?!a)" } }], backendRefs: [${to("a")}] }`,
    `{ matches: [{ headers: [{ name: x, type: RegularExpression, value: "(?<=a)b" }] }], backendRefs: [${to("b")}] }`,
    `{ matches: [{ path: { value: /c } }], backendRefs: [${to("c")}] }`,
  ];
  const { served, notes } = imported(httpRoute(rules));
  expect(served({ url: "/x", headers: { x: "ab" } })).toBeUndefined();
  expect(notes.filter((note) => note.includes("is left out"))).toHaveLength(2);
});

test("a redirect to https of the same host comes before the application, and is of plain requests only", () => {
  const routes = [
    httpRoute([`{ backendRefs: [${to("shop")}] }`], "[shop.example.com]", "a-app"),
    httpRoute(
      ["{ filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, statusCode: 301 } }] }"],
      "[shop.example.com]",
      "z-redirect",
    ),
  ].join("---");
  expect(imported(routes).config).toMatch(
    /match: { hosts: \[ shop\.example\.com \], scheme: http }\s+redirect:\s+scheme: https\s+status: 301[\s\S]*service: shop/,
  );
});

test.each([
  ["", 100],
  [", percent: 10", 10],
  [", fraction: { numerator: 1, denominator: 8 }", 12.5],
])("a mirror%s", (share, percent) => {
  const filter = `{ type: RequestMirror, requestMirror: { backendRef: { name: copy, port: 80 }${share} } }`;
  const { config, notes } = imported(httpRoute([`{ filters: [${filter}], backendRefs: [${to("a", 1)}] }`]));
  expect(config).toMatch(new RegExp(`copy: 0\\s+mirror:\\s+version: copy\\s+percent: ${percent}\\s`));
  expect(notes.join("\n")).not.toContain("irror");
});

test("a rule whose backends are not valid is left out with its release", () => {
  const rule = `{ backendRefs: [{ name: a, port: 1e+308, weight: 1 }, ${to("b", 1)}] }`;
  const { config, notes } = imported(httpRoute([rule, `{ backendRefs: [${to("c", 1)}] }`]));
  expect(config).not.toContain("releases:");
  expect(notes.join("\n")).toContain("left out, with its routes");
});

test("a Service may have a name that no key of a configuration may have", () => {
  const { config } = imported(httpRoute([`{ backendRefs: [${to("constructor", 3)}, ${to("a", 1)}] }`]));
  expect(config).toMatch(/constructor-1: 3/);
});
