import { expect, it } from "vitest";
import { perch } from "../kit/freed.ts";

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

it("says what a route asks of a request and does to it", async () => {
  const { trail } = await explained({ url: "http://a/x/../api/%61", header: "x-region: east" });
  const told = trail.filter(({ outcome }) => ["limited", "fault", "rewritten", "edited"].includes(outcome));
  expect(told.map(({ stage, outcome, detail }) => `${stage} ${outcome}: ${detail}`)).toEqual([
    expect.stringMatching(/^route limited: 5 requests in 1m, 5 at once, by clientAddress: this one counts for /),
    "route limited: at most: total 5m, a body of 1024 octets",
    'forward fault: abort with 503: 2 % of requests like this (region should be "east", is "east")',
    "forward fault: delay of 1000 ms: 100 % of all requests",
    "forward rewritten: /api/a → /a, Host the endpoint's own",
    "forward edited: request - x-debug, - x-region, + x-region: east, + x-version: stable",
    "forward edited: response - server",
  ]);
});

it("says where a redirect leads", async () => {
  const { route, redirect, trail } = await explained({ url: "http://a/old/x?y" });
  expect([route, redirect]).toMatchObject(["moved", { status: 302, location: "https://a/new/x?y" }]);
  expect(trail.at(-1)).toMatchObject({ outcome: "redirected" });
});

it("says that a path is refused, and which other route it could be made to lead to", async () => {
  const answer = await explained({ url: "http://a/api%2Fx" });
  const message = '"/api%2Fx" leads to another route where an upstream takes it for "/api/x"';
  expect(JSON.stringify(answer)).toContain(JSON.stringify(message));
});
