import { describe, expect, it } from "vitest";
import type { DryRequest } from "../../../src/proxy/explain/dry-run.ts";
import { type Explanation, explainRequest } from "../../../src/proxy/explain/explain.ts";
import { perch, upstream } from "../../kit/freed.ts";
import { shopYaml } from "../../kit/one-service.ts";
import { snapshotOf } from "../../kit/snapshot.ts";

type Step = Explanation["trail"][number];

/** The details of the steps of one request's trail that `wanted` takes. */
function details(yaml: string, request: DryRequest, wanted: (step: Step) => boolean): string[] {
  const { trail } = explainRequest(snapshotOf(yaml), request, { nowMs: 0, random: { int32: () => 7 } });
  return trail.filter(wanted).map(({ detail }) => detail);
}

/** What the explanation says that the configuration does to a request on its way. */
function configured(service: string, more = "", headers: Readonly<Record<string, string>> = {}, client?: string) {
  const trusting = `trustedProxies: [10.0.0.0/8]\n${more}`;
  const yaml = shopYaml({ stable: ["http://a:80", "http://b:80"], service, more: trusting });
  const request = { url: "http://a/", headers, ...(client === undefined ? {} : { client }) };
  return details(yaml, request, ({ outcome }) => outcome === "so-configured");
}

const forwardSteps = (yaml: string, request: DryRequest) => details(yaml, request, ({ stage }) => stage === "forward");

const shop = (endpoints: string, balance = "hash") => `
trustedProxies: [127.0.0.0/8]
attributes: { userId: { type: string, from: [{ header: x-user-id }] } }
services: { shop: { balance: ${balance}, versions: { stable: { endpoints: [${endpoints}] } } } }
releases: { shop: { sticky: { by: userId }, split: { stable: 1 }, override: { header: x-version, allowFrom: [127.0.0.0/8] } } }
routes:
  - { name: plain, match: { path: { prefix: /plain } }, service: shop }
  - { name: all, service: shop, release: shop }`;

const two = '"http://10.0.0.1:80", "http://10.0.0.2:80"';

const routed = `
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

async function explained(query: Record<string, string>): Promise<Explanation> {
  const { admin } = await perch(routed);
  const answer = await admin(`/api/explain?${new URLSearchParams(query)}`);
  return (await answer.json()) as Explanation;
}

describe("an explanation says of the service", () => {
  it.each<[service: string, lines: readonly string[]]>([
    ["", []],
    ["balance: hash", []],
    ["balance: round-robin", ["endpoints take turns by round-robin"]],
    ["protocol: http2", ["its endpoints are spoken to by HTTP/2; a WebSocket would get 502"]],
    [
      "retries: {}",
      [
        "tried again up to 2 times where an endpoint is out of reach, and on a reset, 502, 503, 504 where the method is idempotent; at most 20 % of requests",
      ],
    ],
    [
      "retries: { attempts: 1, on: [connect-failure], budget: 50%, otherVersion: true }",
      [
        "tried again once where an endpoint is out of reach; at most 50 % of requests; the last goes to the default version",
      ],
    ],
    ["retries: { attempts: 0 }", ["retries are off"]],
    [
      "limits: { maxInFlight: 9, maxConnections: 2, maxPending: 5, pendingTimeout: 3s }",
      ["shop/stable, in each worker: at most 9 in flight, 2 connections to an endpoint, then 5 wait up to 3 s"],
    ],
  ])("%j", (service, lines) => {
    expect(configured(service)).toEqual(lines);
  });
});

describe("an explanation says of the trace", () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const sent = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };

  it.each<[sentence: string, tracing: string, headers: Readonly<Record<string, string>>, client: string, line: string]>(
    [
      ["that one begins", "{ sample: 0.5 }", {}, "10.0.0.1", "a new trace begins; recorded are 50 % of traces"],
      [
        "that a malformed one is no trace",
        "{ sample: 1 }",
        { traceparent: "x" },
        "10.0.0.1",
        "a new trace begins, the one sent does not count; recorded are 100 % of traces",
      ],
      [
        "that an untrusted client's goes on",
        "{ sample: 0 }",
        sent,
        "192.0.2.1",
        `trace ${traceId} goes on; recorded are 0 % of traces`,
      ],
      [
        "that it is recorded, as a proxy says",
        "{ sample: 0 }",
        sent,
        "10.0.0.1",
        `trace ${traceId} goes on; recorded, as the caller says`,
      ],
      [
        "that an untrusted client's is not continued",
        "{ sample: 0, trustIncoming: proxies }",
        sent,
        "192.0.2.1",
        "a new trace begins, the one sent does not count; recorded are 0 % of traces",
      ],
    ],
  )("%s", (_, tracing, headers, client, line) => {
    expect(configured("", `tracing: ${tracing}`, headers, client)).toEqual([line]);
  });
});

describe("an explanation says of endpoints", () => {
  it.each([
    [
      "the unit's endpoint",
      "/",
      { "x-user-id": "ada" },
      "127.0.0.1",
      /^balance hash: this unit is kept on http:\/\/10\.0\.0\.[12]:80$/,
    ],
    [
      "the client's endpoint without a release",
      "/plain",
      {},
      "127.0.0.1",
      /^balance hash: this client's address is kept on/,
    ],
    [
      "the client's endpoint with an override",
      "/",
      { "x-version": "stable", "x-user-id": "ada" },
      "127.0.0.1",
      /^balance hash: this client's address is kept on/,
    ],
    ["any endpoint without a client's address", "/plain", {}, undefined, /^balance hash: any endpoint/],
  ])("by hash, %s", (_sentence, url, headers, client, wanted) => {
    expect(forwardSteps(shop(two), { url, headers: { host: "a.example", ...headers }, client })[1]).toMatch(wanted);
  });

  it("by another balance, the list only", () => {
    expect(forwardSteps(shop(two, "p2c"), { url: "/", headers: { host: "a.example" } })).toHaveLength(1);
  });

  it("the name of one that is not resolved", () => {
    expect(forwardSteps(shop("{ dns: shop.example, port: 80 }"), { url: "/", headers: { host: "a.example" } })).toEqual(
      ["service shop, version stable: no address known here (http://shop.example:80 by DNS)"],
    );
  });

  it("the one that the request goes to", async () => {
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

describe("an explanation says of the route", () => {
  it("its limits, faults, rewrites and edits", async () => {
    const { trail } = await explained({ url: "http://a/x/../api/%61", header: "x-region: east" });
    const steps = trail.filter(({ outcome }) => ["limited", "fault", "rewritten", "edited"].includes(outcome));
    expect(steps.map(({ stage, outcome, detail }) => `${stage} ${outcome}: ${detail}`)).toEqual([
      expect.stringMatching(/^route limited: 5 requests in 1m, 5 at once, by clientAddress: this one counts for /),
      "route limited: at most: total 5m, a body of 1024 bytes",
      'forward fault: abort with 503: 2 % of requests like this (region: expected "east", got "east")',
      "forward fault: delay of 1000 ms: 100 % of all requests",
      "forward rewritten: /api/a → /a, Host the endpoint's own",
      "forward edited: request - x-debug, - x-region, + x-region: east, + x-version: stable",
      "forward edited: response - server",
    ]);
  });

  it("where a redirect leads", async () => {
    const { route, redirect, trail } = await explained({ url: "http://a/old/x?y" });
    expect([route, redirect]).toMatchObject(["moved", { status: 302, location: "https://a/new/x?y" }]);
    expect(trail.at(-1)).toMatchObject({ outcome: "redirected" });
  });

  it("that a path is refused, and the other route that an upstream could take it for", async () => {
    const answer = await explained({ url: "http://a/api%2Fx" });
    const message = '"/api%2Fx" leads to another route where an upstream takes it for "/api/x"';
    expect(JSON.stringify(answer)).toContain(JSON.stringify(message));
  });
});
