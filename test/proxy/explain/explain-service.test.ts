import { describe, expect, it } from "vitest";
import type { DryRequest } from "../../../src/proxy/explain/dry-run.ts";
import { explainRequest } from "../../../src/proxy/explain/explain.ts";
import { perch, upstream } from "../../kit/freed.ts";
import { snapshotOf } from "../../kit/snapshot.ts";

/** The `so-configured` lines of an explanation. */
function configured(service: string, more = "", headers: Readonly<Record<string, string>> = {}, client?: string) {
  const yaml = `services: { shop: { ${service} versions: { stable: { endpoints: ["http://a:80", "http://b:80"] } } } }
trustedProxies: [10.0.0.0/8]
routes: [{ name: all, service: shop }]
${more}`;
  const request = { url: "http://a/", headers, ...(client === undefined ? {} : { client }) };
  const { trail } = explainRequest(snapshotOf(yaml), request, { nowMs: 0, random: { int32: () => 7 } });
  return trail.filter(({ outcome }) => outcome === "so-configured").map(({ detail }) => detail);
}

describe("the service settings in an explanation", () => {
  it.each<[service: string, lines: readonly string[]]>([
    ["", []],
    ["balance: hash,", []],
    ["balance: round-robin,", ["endpoints are chosen by round-robin"]],
    ["protocol: http2,", ["endpoints use HTTP/2; a WebSocket would get 502"]],
    [
      "retries: {},",
      [
        "retried up to 2 times if an endpoint cannot be reached, and on a reset, 502, 503, 504 if the method is idempotent; at most 20 % of requests",
      ],
    ],
    [
      "retries: { attempts: 1, on: [connect-failure], budget: 50%, otherVersion: true },",
      [
        "retried once if an endpoint cannot be reached; at most 50 % of requests; the last one goes to the default version",
      ],
    ],
    ["retries: { attempts: 0 },", ["retries are off"]],
    [
      "limits: { maxInFlight: 9, maxConnections: 2, maxPending: 5, pendingTimeout: 3s },",
      ["shop/stable, in each worker: at most 9 in flight, 2 connections per endpoint, then 5 queue for up to 3 s"],
    ],
  ])("%j", (service, lines) => {
    expect(configured(service)).toEqual(lines);
  });
});

describe("the trace in an explanation", () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const sent = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };

  it.each<[sentence: string, tracing: string, headers: Readonly<Record<string, string>>, client: string, line: string]>(
    [
      ["begins", "{ sample: 0.5 }", {}, "10.0.0.1", "a new trace begins; 50 % of traces are sampled"],
      [
        "begins anew if the received one is malformed",
        "{ sample: 1 }",
        { traceparent: "x" },
        "10.0.0.1",
        "a new trace begins, the received one is ignored; 100 % of traces are sampled",
      ],
      [
        "continues an untrusted client's, without its sampling decision",
        "{ sample: 0 }",
        sent,
        "192.0.2.1",
        `trace ${traceId} continues; 0 % of traces are sampled`,
      ],
      [
        "continues a trusted proxy's, with its sampling decision",
        "{ sample: 0 }",
        sent,
        "10.0.0.1",
        `trace ${traceId} continues; sampled, as the caller decided`,
      ],
      [
        "begins anew for an untrusted client under trustIncoming: proxies",
        "{ sample: 0, trustIncoming: proxies }",
        sent,
        "192.0.2.1",
        "a new trace begins, the received one is ignored; 0 % of traces are sampled",
      ],
    ],
  )("%s", (_, tracing, headers, client, line) => {
    expect(configured("", `tracing: ${tracing}`, headers, client)).toEqual([line]);
  });
});

const shop = (endpoints: string, balance = "hash") => `
trustedProxies: [127.0.0.0/8]
attributes: { userId: { type: string, from: [{ header: x-user-id }] } }
services: { shop: { balance: ${balance}, versions: { stable: { endpoints: [${endpoints}] } } } }
releases: { shop: { sticky: { by: userId }, split: { stable: 1 }, override: { header: x-version, allowFrom: [127.0.0.0/8] } } }
routes:
  - { name: plain, match: { path: { prefix: /plain } }, service: shop }
  - { name: all, service: shop, release: shop }`;

function forwardSteps(yaml: string, request: DryRequest): string[] {
  const { trail } = explainRequest(snapshotOf(yaml), request, { nowMs: 0, random: { int32: () => 1 } });
  return trail.filter(({ stage }) => stage === "forward").map(({ detail }) => detail);
}

const two = '"http://10.0.0.1:80", "http://10.0.0.2:80"';

describe("the endpoints in an explanation", () => {
  it.each([
    [
      "the unit picks one",
      "/",
      { "x-user-id": "ada" },
      "127.0.0.1",
      /^balance hash: this unit is kept on http:\/\/10\.0\.0\.[12]:80$/,
    ],
    [
      "the client's address picks one without a release",
      "/plain",
      {},
      "127.0.0.1",
      /^balance hash: this client's address is kept on/,
    ],
    [
      "the client's address picks one under an override",
      "/",
      { "x-version": "stable", "x-user-id": "ada" },
      "127.0.0.1",
      /^balance hash: this client's address is kept on/,
    ],
    ["any without a unit and a client address", "/plain", {}, undefined, /^balance hash: any endpoint/],
  ])("with balance hash: %s", (_sentence, url, headers, client, wanted) => {
    expect(forwardSteps(shop(two), { url, headers: { host: "a.example", ...headers }, client })[1]).toMatch(wanted);
  });

  it("are only listed with another balancer", () => {
    expect(forwardSteps(shop(two, "p2c"), { url: "/", headers: { host: "a.example" } })).toHaveLength(1);
  });

  it("show a DNS name that is not resolved", () => {
    expect(forwardSteps(shop("{ dns: shop.example, port: 80 }"), { url: "/", headers: { host: "a.example" } })).toEqual(
      ["service shop, version stable: no resolved address (http://shop.example:80 by DNS)"],
    );
  });

  it("show a Kubernetes Service, which is not asked for", () => {
    const endpoint = "{ kubernetes: { service: shop, port: http } }";
    expect(forwardSteps(shop(endpoint), { url: "/", headers: { host: "a.example" } })).toEqual([
      "service shop, version stable: no resolved address (http://shop:http by EndpointSlices)",
    ]);
  });

  it("include the one that the proxy uses", async () => {
    const all = [await upstream("one"), await upstream("two"), await upstream("three")];
    const { origin, admin } = await perch(shop(all.map((one) => one.origin).join(", ")));
    for (const user of ["ada", "grace", "edsger", "barbara", "tony"]) {
      const query = `url=http://a.example/&header=${encodeURIComponent(`x-user-id: ${user}`)}`;
      const { trail } = (await (await admin(`/api/explain?${query}`)).json()) as { trail: { detail: string }[] };
      const served = (await fetch(origin, { headers: { "x-user-id": user } })).headers.get("x-upstream");
      const at = all[["one", "two", "three"].indexOf(served ?? "")]?.origin;
      expect(trail.map(({ detail }) => detail)).toContain(`balance hash: this unit is kept on ${at}`);
    }
  });
});

const yaml = `
attributes: { region: { type: string, from: [{ header: x-region }] } }
services:
  shop:
    versions:
      stable: { endpoints: ["http://127.0.0.1:1"], requestHeaders: { add: { x-version: "\${version}" } } }
routes:
  - name: api
    match: { path: { prefix: /api } }
    service: shop
    requestHeaders: { set: { x-region: "\${attribute.region}" }, remove: [x-debug] }
    responseHeaders: { remove: [server] }
    rewrite: { prefix: /, host: upstream }
    timeouts: { total: 5m }
    maxBodySize: 1KiB
    rateLimit: { requests: 5, per: 1m }
    fault: { abort: { percent: 2, when: { region: east } }, delay: { for: 1s } }
  - { name: moved, match: { path: { prefix: /old } }, redirect: { prefix: /new, scheme: https } }
  - { name: all, service: shop }`;

interface Explained {
  readonly route: string | null;
  readonly redirect: { readonly status: number; readonly location: string } | null;
  readonly trail: readonly { readonly stage: string; readonly outcome: string; readonly detail: string }[];
}

async function explained(query: Record<string, string>): Promise<Explained> {
  const { admin } = await perch(yaml);
  const answer = await admin(`/api/explain?${new URLSearchParams(query)}`);
  return (await answer.json()) as Explained;
}

it("shows the route's limits, faults, rewrite and header edits", async () => {
  const { trail } = await explained({ url: "http://a/x/../api/%61", header: "x-region: east" });
  const steps = trail.filter(({ outcome }) => ["limited", "fault", "rewritten", "edited"].includes(outcome));
  expect(steps.map(({ stage, outcome, detail }) => `${stage} ${outcome}: ${detail}`)).toEqual([
    expect.stringMatching(/^route limited: 5 requests per 1m, burst 5, by clientAddress: this one counts for /),
    "route limited: limits: total 5m, body 1024 bytes",
    'forward fault: abort with 503: 2 % of requests like this (region: expected "east", got "east")',
    "forward fault: delay of 1000 ms: 100 % of all requests",
    "forward rewritten: /api/a → /a, Host of the endpoint",
    "forward edited: request - x-debug, - x-region, + x-region: east, + x-version: stable",
    "forward edited: response - server",
  ]);
});

it("shows a path that is forwarded as it was written, and what shared caches may keep", () => {
  const snapshot = snapshotOf(`
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:9"] } } } }
releases: { shop: { split: { stable: 1 } } }
routes: [{ name: all, service: shop, release: shop, pathNormalisation: off, sharedCache: keep }]`);
  const context = { nowMs: 0, random: { int32: () => 7 } };
  const { trail } = explainRequest(snapshot, { url: "http://a/x//%61/../b;c" }, context);
  const details = trail.map(({ detail }) => detail);
  expect(details).toContain("/x/b;c → /x//%61/../b;c");
  expect(details).toContain("shared caches may keep the response, as its own fields say");
  const refused = explainRequest(snapshot, { url: "http://a/;/admin" }, context);
  expect(refused.trail.map(({ detail }) => detail)).toEqual([
    '"/;/admin" has a path parameter, which pathParameters: refuse-leading refuses',
  ]);
});

it("shows a shared limit without asking anybody", () => {
  const snapshot = snapshotOf(`
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:9"] } } } }
routes: [{ name: all, service: shop, rateLimit: { requests: 5, shared: { redis: "redis://[::1]:6379" } } }]`);
  const { trail } = explainRequest(snapshot, { url: "http://a/" }, { nowMs: 0, random: { int32: () => 7 } });
  const detail =
    "5 requests per 1s, burst 5, over all processes, counted in Redis at [::1]:6379, by clientAddress: this one counts for an unknown address";
  expect(trail).toContainEqual({ stage: "route", outcome: "limited", detail });
});

it("shows the location of a redirect", async () => {
  const { route, redirect, trail } = await explained({ url: "http://a/old/x?y" });
  expect([route, redirect]).toMatchObject(["moved", { status: 302, location: "https://a/new/x?y" }]);
  expect(trail.at(-1)).toMatchObject({ outcome: "redirected" });
});

it("rejects an ambiguous path, with its other reading", async () => {
  const answer = await explained({ url: "http://a/api%2Fx" });
  const message = '"/api%2Fx" is ambiguous: read as "/api/x", it matches another route';
  expect(JSON.stringify(answer)).toContain(JSON.stringify(message));
});

describe("a CORS preflight in an explanation", () => {
  const headers = { origin: "https://app.example", "access-control-request-method": "PUT" };
  const explained = (cors: string) => {
    const yaml = `listeners: [{ name: web, address: 127.0.0.1:8080 }]
services: { shop: { versions: { stable: { endpoints: ["http://a:80"] }, canary: { endpoints: ["http://b:80"] } } } }
releases: { shop: { split: { stable: 5, canary: 95 } } }
routes: [{ name: all, service: shop, release: shop ${cors} }]`;
    const request = { method: "OPTIONS", url: "http://a/", headers };
    return explainRequest(snapshotOf(yaml), request, { nowMs: 0, random: { int32: () => 7 } });
  };

  it("is answered by the route", () => {
    const { trail, ...rest } = explained(`, cors: { allowOrigins: ["https://app.example"], allowMethods: [PUT] }`);
    expect(rest).toMatchObject({ route: "all", version: null, error: null });
    expect(trail.at(-1)).toEqual({
      stage: "forward",
      outcome: "answered",
      detail:
        "the route's cors answers this preflight instead of forwarding: 204, Access-Control-Allow-Origin: https://app.example, Access-Control-Allow-Methods: PUT, Access-Control-Max-Age: 5, Vary: Origin",
    });
  });

  it("is served by the version of most users, without a unit and a pin", () => {
    const { trail, ...rest } = explained("");
    expect(rest).toMatchObject({ version: "canary", reason: "preflight", unit: null, pin: { wouldSet: null } });
    expect(trail).toContainEqual(expect.objectContaining({ stage: "preflight" }));
  });
});
