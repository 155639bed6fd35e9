import { describe, expect, test } from "vitest";
import { imported } from "../asked.ts";

function virtualService(routes: readonly string[], hosts = "[shop.example.com]"): string {
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop, namespace: shop }
spec:
  hosts: ${hosts}
  http:
${routes.map((route) => `    - ${route}`).join("\n")}
`;
}

function destinationRule(policy: string): string {
  return `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: shop, namespace: shop }
spec:
  host: shop
  trafficPolicy: ${policy}
  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]
`;
}

const to = (host: string, rest = "") => `{ destination: { host: ${host}, port: { number: 80 } }${rest} }`;
const subset = (name: string, weight: number) =>
  `{ destination: { host: shop, subset: ${name}, port: { number: 80 } }, weight: ${weight} }`;

describe("which route matches a request: the first match", () => {
  const routes = [
    `{ match: [{ uri: { exact: /exact } }], route: [${to("exact")}] }`,
    `{ match: [{ uri: { prefix: /api } }], route: [${to("prefix")}] }`,
    `{ match: [{ uri: { regex: "/v[0-9]+" } }], route: [${to("regex")}] }`,
    `{ match: [{ uri: { prefix: /Case }, ignoreUriCase: true }], route: [${to("case")}] }`,
    `{ match: [{ headers: { end-user: { exact: jason } }, method: { exact: GET } }, { queryParams: { debug: { exact: "1" } } }], route: [${to("either")}] }`,
    `{ match: [{ uri: { prefix: /anon }, withoutHeaders: { authorization: {} } }], route: [${to("anonymous")}] }`,
    `{ route: [${to("rest")}] }`,
  ];
  test.each([
    ["GET", "/exact", {}, "exact"],
    ["GET", "/exact/x", {}, "rest"],
    ["GET", "/api/x", {}, "prefix"],
    ["GET", "/apix: a prefix of characters, not of segments", {}, "prefix"],
    ["GET", "/v12", {}, "regex"],
    ["GET", "/v12/x", {}, "rest"],
    ["GET", "/cASE/1", {}, "case"],
    ["GET", "/", { "end-user": "jason" }, "either"],
    ["POST", "/", { "end-user": "jason" }, "rest"],
    ["POST", "/?debug=1", {}, "either"],
    ["GET", "/anon", {}, "anonymous"],
    ["GET", "/anon", { authorization: "x" }, "rest"],
  ])("%s %s %o: %s", (method, path, headers: Record<string, string>, service) => {
    const url = path.split(":")[0] ?? "";
    expect(imported(virtualService(routes)).served({ method, url, headers })).toBe(`${service}/stable`);
  });

  test("a short host is a Service in each form of its name", () => {
    const { served } = imported(virtualService([`{ route: [${to("shop")}] }`], "[shop]"));
    for (const host of ["shop", "shop.shop", "shop.shop.svc.cluster.local"]) {
      expect(served({ headers: { host } })).toBe("shop/stable");
    }
    expect(served({ headers: { host: "other" } })).toBeUndefined();
  });
});

describe("subsets and weights", () => {
  const split = virtualService([`{ route: [${subset("v1", 75)}, ${subset("v2", 25)}] }`]);

  test("subsets become versions, each with its own Service, which the notes request", () => {
    const { config, notes, share } = imported(split + destinationRule("{}"));
    expect(config).toContain("http://shop-v2.shop:80");
    expect(notes.join("\n")).toContain(
      "create shop/shop-v2, which selects { version: v2 } in addition to the labels of shop",
    );
    expect(Math.abs(share("v2") - 0.25)).toBeLessThan(0.05);
  });

  test.each([
    [
      "outlier detection",
      "{ outlierDetection: { consecutive5xxErrors: 7, baseEjectionTime: 5m, maxEjectionPercent: 40 } }",
      /outlier:\s+consecutiveFailures: 7\s+ejectFor: 5m\s+maxEjected: 40%/,
    ],
    ["a balance", "{ loadBalancer: { simple: ROUND_ROBIN } }", /balance: round-robin/],
    ["a consistent hash", "{ loadBalancer: { consistentHash: { useSourceIp: true } } }", /balance: hash/],
    [
      "limits",
      "{ connectionPool: { tcp: { maxConnections: 10, connectTimeout: 3s }, http: { http2MaxRequests: 20, http1MaxPendingRequests: 5 } } }",
      /limits:\s+maxConnections: 10\s+maxInFlight: 20\s+maxPending: 5\s+timeouts:\s+connect: 3s/,
    ],
  ])("%s of a DestinationRule", (_what, policy, wanted) => {
    expect(imported(split + destinationRule(policy)).config).toMatch(wanted);
  });
});

describe("other settings of a route", () => {
  test.each([
    [
      "retries and a timeout",
      `{ timeout: 5s, retries: { attempts: 3, retryOn: "gateway-error" }, route: [${to("shop")}] }`,
      /retries:\s+attempts: 3\s+on:\s+- connect-failure\s+- reset-before-response\s+- 502\s+- 503\s+- 504[\s\S]*timeouts:\s+total: 5s/,
    ],
    [
      "faults",
      `{ fault: { delay: { fixedDelay: 2s, percentage: { value: 0.1 } }, abort: { httpStatus: 418, percent: 100 } }, route: [${to("shop")}] }`,
      /fault:\s+delay:\s+for: 2s\s+percent: 0.1\s+abort:\s+status: 418\s+percent: 100/,
    ],
    [
      "a mirror, which becomes a version of weight zero",
      `{ mirror: { host: shop, subset: v2, port: { number: 80 } }, mirrorPercentage: { value: 5 }, route: [${subset("v1", 100)}] }`,
      /split:\s+v1: 100\s+v2: 0\s+mirror:\s+version: v2\s+percent: 5/,
    ],
    [
      "a rewritten prefix, which matches whole segments",
      `{ match: [{ uri: { prefix: /old } }], rewrite: { uri: / }, route: [${to("shop")}] }`,
      /path: { prefix: \/old }[\s\S]*rewrite:\s+prefix: \//,
    ],
    [
      "a redirect",
      `{ match: [{ uri: { exact: /old } }], redirect: { authority: new.example.com, redirectCode: 308 } }\n    - { route: [${to("shop")}] }`,
      /redirect:\s+host: new\.example\.com\s+status: 308/,
    ],
    [
      "a prefix that ends with a slash, by its characters",
      `{ match: [{ uri: { prefix: /old/ } }], rewrite: { uri: / }, route: [${to("shop")}] }`,
      /path: { regex: \^\/old\/ }[\s\S]*regex:\s+pattern: \^\/old\/\s+replacement: \//,
    ],
    [
      "a rewrite of a route without a path",
      `{ match: [{ headers: { x-a: {} } }], rewrite: { uri: /new }, route: [${to("shop")}] }`,
      /rewrite:\s+regex:\s+pattern: \^\/\s+replacement: \/new/,
    ],
    [
      "a mirror of every method",
      `{ mirror: { host: shadow }, route: [${to("shop")}] }`,
      /mirror:\s+version: shadow\s+percent: 100\s+methods:\s+- GET\s+- HEAD\s+- OPTIONS\s+- POST\s+- PUT\s+- PATCH\s+- DELETE/,
    ],
    [
      "no timeout, which Istio does not have",
      `{ route: [${to("shop")}] }`,
      /timeouts:\s+connect: 10s\s+responseHeaders: 24d\s+idle: 24d\nroutes/,
    ],
    [
      "the time limit of an attempt",
      `{ retries: { attempts: 3, perTryTimeout: 2s }, route: [${to("shop")}] }`,
      /service: shop\s+timeouts:\s+responseHeaders: 2s/,
    ],
    [
      "the time limit of an attempt beside one that is longer than Perch's longest",
      `{ timeout: 1000h, retries: { attempts: 3, perTryTimeout: 2s }, route: [${to("shop")}] }`,
      /service: shop\s+timeouts:\s+total: 24d\s+responseHeaders: 2s/,
    ],
    [
      "causes of retries as listed",
      `{ retries: { attempts: 2, retryOn: "reset" }, route: [${to("shop")}] }`,
      /retries:\s+attempts: 2\s+on:\s+- connect-failure\s+- reset-before-response\n/,
    ],
    [
      "no retries, where Perch knows none of the causes",
      `{ retries: { attempts: 2, retryOn: "retriable-4xx" }, route: [${to("shop")}] }`,
      /retries:\s+attempts: 0/,
    ],
    [
      "a fault of gRPC that Perch has",
      `{ fault: { abort: { grpcStatus: UNAVAILABLE, percentage: { value: 5 } } }, route: [${to("shop")}] }`,
      /fault:\s+abort:\s+status: 503\s+percent: 5/,
    ],
    [
      "an error of the gateway itself",
      `{ match: [{ uri: { prefix: /admin } }], directResponse: { status: 403 } }\n    - { route: [${to("shop")}] }`,
      /path: { regex: \^\/admin } }\s+service: no-backend\s+fault:\s+abort:\s+status: 403\n/,
    ],
    [
      "a rewritten exact path",
      `{ match: [{ uri: { exact: /old } }], rewrite: { uri: /new }, route: [${to("shop")}] }`,
      /rewrite:\s+path: \/new/,
    ],
    [
      "a rewrite by pattern",
      `{ match: [{ uri: { prefix: /api/ } }], rewrite: { uriRegexRewrite: { match: "^/api/(.*)$", rewrite: '/\\1' } }, route: [${to("shop")}] }`,
      /rewrite:\s+regex:\s+pattern: \^\/api\/\(\.\*\)\$\s+replacement: \/\$1/,
    ],
    [
      "a rewrite with the whole match and a dollar sign",
      `{ rewrite: { uriRegexRewrite: { match: "^/(a).*", rewrite: '/$\\1\\0' } }, route: [${to("shop")}] }`,
      /pattern: \(\^\/\(a\)\.\*\)\s+replacement: \/\$\$\$2\$1/,
    ],
    [
      "a Host header, by a rewrite",
      `{ headers: { request: { set: { Host: inner.example } } }, route: [${to("shop")}] }`,
      /rewrite:\s+host: inner\.example/,
    ],
    [
      "retries of every 5xx",
      `{ retries: { attempts: 2, retryOn: "5xx,retriable-4xx" }, route: [${to("shop")}] }`,
      /attempts: 2\s+on:\s+- connect-failure\s+- reset-before-response\s+- 500\s+- 502\s+- 503\s+- 504/,
    ],
    [
      "corsPolicy",
      `{ corsPolicy: { allowOrigins: [{ exact: "https://a.example" }], allowMethods: [PUT], allowCredentials: true, maxAge: 24h }, route: [${to("shop")}] }`,
      /cors:\s+allowOrigins:\s+- https:\/\/a\.example\s+allowMethods:\s+- PUT\s+allowCredentials: true\s+maxAge: 86400s/,
    ],
    ["no retries", `{ retries: { attempts: 0 }, route: [${to("shop")}] }`, /retries:\s+attempts: 0/],
    [
      "methods by pattern",
      `{ match: [{ method: { regex: "GET|HEAD" } }], route: [${to("shop")}] }`,
      /methods: \[ GET, HEAD \]/,
    ],
    [
      "headers of one destination",
      `{ route: [${to("shop", ", headers: { response: { set: { X-A: b } } }")}] }`,
      /responseHeaders:\s+set:\s+x-a: b/,
    ],
  ])("%s", (_what, route, wanted) => {
    expect(imported(virtualService([route])).config).toMatch(wanted);
  });

  test.each([
    [
      "an origin by prefix",
      `{ corsPolicy: { allowOrigins: [{ prefix: "https://" }] }, route: [${to("shop")}] }`,
      "http[0].corsPolicy.allowOrigins[0]: ",
    ],
    [
      "sourceLabels",
      `{ match: [{ sourceLabels: { app: a } }], route: [${to("shop")}] }\n    - { route: [${to("rest")}] }`,
      "http[0].match[0].sourceLabels: no equivalent, so http[0].match[0] is left out",
    ],
    [
      "a cause of retries without an equivalent",
      `{ retries: { attempts: 2, retryOn: "5xx,retriable-4xx" }, route: [${to("shop")}] }`,
      "http[0].retries.retryOn: retriable-4xx: no equivalent",
    ],
    [
      "derivePort",
      "{ redirect: { uri: /new, derivePort: FROM_REQUEST_PORT } }",
      "http[0].redirect.derivePort: no equivalent",
    ],
    [
      "a key that nobody knows",
      `{ route: [${to("shop")}], rewrite: { uri: /x, sometime: later }, anew: 1 }`,
      "http[0].rewrite.sometime: not imported",
    ],
    [
      "an edit of a header that Perch writes",
      `{ headers: { request: { set: { X-Request-Id: a } } }, route: [${to("shop")}] }`,
      "the edit of the request header X-Request-Id is left out",
    ],
    [
      "a pattern that is not RE2",
      `{ match: [{ uri: { regex: "/(?!a)" } }], route: [${to("shop")}] }\n    - { route: [${to("rest")}] }`,
      "so http[0].match[0] is left out",
    ],
    [
      "a redirect to the same URL",
      `{ redirect: { redirectCode: 302 } }\n    - { route: [${to("rest")}] }`,
      "http[0].redirect: it redirects to the same URL, so it is left out",
    ],
    [
      "a delegate",
      `{ delegate: { name: x } }\n    - { route: [${to("shop")}] }`,
      "the delegate shop/x is not in the input, so http[0] is left out",
    ],
    [
      "a route without a destination",
      `{ match: [{ uri: { prefix: /a } }] }\n    - { route: [${to("shop")}] }`,
      "the route shop is left out: it has no destination",
    ],
    [
      "weights of 0 only",
      `{ match: [{ uri: { prefix: /a } }], route: [${subset("v1", 0)}, ${subset("v2", 0)}] }\n    - { route: [${to("shop")}] }`,
      "the weights of its destinations are 0",
    ],
    [
      "an answer of the gateway that is no error",
      `{ match: [{ uri: { prefix: /a } }], directResponse: { status: 200 } }\n    - { route: [${to("shop")}] }`,
      "http[0].directResponse is left out: the status 200 has no equivalent",
    ],
    [
      "a fault that has no percentage",
      `{ fault: { abort: { httpStatus: 500 } }, route: [${to("shop")}] }`,
      "http[0].fault.abort has no percentage, so it applies to no request",
    ],
    [
      "a fault of gRPC",
      `{ fault: { abort: { grpcStatus: NOT_FOUND, percentage: { value: 1 } } }, route: [${to("shop")}] }`,
      "http[0].fault.abort.grpcStatus NOT_FOUND: no equivalent",
    ],
    [
      "a second mirror",
      `{ mirrors: [{ destination: { host: b } }, { destination: { host: c } }], route: [${to("shop")}] }`,
      "http[0].mirrors[1]: a release mirrors to one version only",
    ],
  ])("%s is noted", (_what, route, note) => {
    expect(imported(virtualService([route])).notes.join("\n")).toContain(note);
  });
});

test("without hosts a VirtualService is a delegate, and does not serve every host", () => {
  const delegate = virtualService([`{ route: [${to("inner")}] }`], "[]");
  const { served, notes } = imported(`${virtualService([`{ route: [${to("shop")}] }`])}---${delegate}`);
  expect(served({ headers: { host: "other.example" } })).toBeUndefined();
  expect(notes.join("\n")).toContain(
    "without a host it is a delegate, and no VirtualService of the input delegates to it",
  );
});
