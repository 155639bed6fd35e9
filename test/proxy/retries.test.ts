import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { perch, rawClient, rawUpstream, upstream } from "../kit/freed.ts";
import { lanes, requestsInFlight, requestsTotal, shopYaml, upstreamErrors } from "../kit/one-service.ts";
import { loggedPerch } from "../kit/served.ts";

const retries = (outcome: string, version = "stable") =>
  `perch_retries_total{service="shop",version="${version}",outcome="${outcome}"}`;

/** Two upstreams that share this sequence of statuses, and answer 200 after it. */
async function inTurn(...statuses: number[]) {
  const answer = (_request: unknown, response: ServerResponse) => {
    const status = statuses.shift() ?? 200;
    response.writeHead(status).end(`answered ${status}`);
  };
  return [await upstream("a", answer), await upstream("b", answer)] as const;
}

describe.each(lanes)("retries, in the $lane lane", ({ fastLane }) => {
  const more = `fastLane: ${fastLane}`;
  const perchTo = (stable: readonly string[], retries: string) =>
    perch(shopYaml({ stable, service: `retries: ${retries}`, more }));

  it("a retried status: the other endpoint answers, and the error is counted at the first", async () => {
    const both = await inTurn(503);
    const { origin, metric } = await perchTo([both[0].origin, both[1].origin], "{}");
    const response = await fetch(origin);
    expect([response.status, await response.text()]).toEqual([200, "answered 200"]);
    expect(both.map(({ seen }) => seen.length)).toEqual([1, 1]);
    expect([await metric(upstreamErrors("status-503")), await metric(retries("success"))]).toEqual([1, 1]);
    expect([await metric(requestsTotal(200)), await metric(requestsTotal(503))]).toEqual([1, undefined]);
    expect(await metric(requestsInFlight)).toBe(0);
  });

  it("the connection of a discarded response is used again", async () => {
    const both = await inTurn(503, 200, 503, 200, 503, 200);
    const { origin } = await perchTo([both[0].origin, both[1].origin], "{}");
    for (let i = 0; i < 3; i++) expect((await fetch(origin)).status).toBe(200);
    expect(both.map(({ connections }) => connections)).toEqual([1, 1]);
  });

  it("the last response is passed on where all attempts fail", async () => {
    const both = await inTurn(502, 503, 504, 503);
    const { origin, metric } = await perchTo([both[0].origin, both[1].origin], "{ attempts: 2 }");
    expect(await (await fetch(origin)).text()).toBe("answered 504");
    expect([await metric(upstreamErrors("status-502")), await metric(upstreamErrors("status-503"))]).toEqual([1, 1]);
    expect([await metric(retries("failure")), await metric(retries("success"))]).toEqual([1, 0]);
  });

  it.each([
    ["a method that is not idempotent", "{}", { method: "POST", body: "x" }, 503],
    ["PATCH", "{}", { method: "PATCH", body: "x" }, 503],
    ["a status that is not listed", "{ on: [502] }", {}, 503],
    ["no attempts", "{ attempts: 0 }", {}, 503],
    ["a body over maxBody", "{ maxBody: 10 }", { method: "PUT", body: "x".repeat(11) }, 503],
    ["a small body", "{ maxBody: 10 }", { method: "PUT", body: "x".repeat(10) }, 200],
    ["a larger body", "{ maxBody: 1MiB }", { method: "PUT", body: "x".repeat(1_000_000) }, 200],
    ["DELETE", "{}", { method: "DELETE" }, 200],
  ] as const)("%s: %s", async (_sentence, settings, request, status) => {
    const both = await inTurn(503);
    const { origin } = await perchTo([both[0].origin, both[1].origin], settings);
    expect((await fetch(origin, request)).status).toBe(status);
    const sent = "body" in request ? request.body : "";
    const bodies = both.flatMap(({ seen }) => seen.map(({ body }) => body === sent));
    expect(bodies).toEqual(status === 200 ? [true, true] : [true]);
  });

  it("a chunked body is sent again whole", async () => {
    const both = await inTurn(503);
    const { port } = await perchTo([both[0].origin, both[1].origin], "{}");
    const client = await rawClient(port);
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n");
    client.send("4\r\ndefg\r\n0\r\n\r\n");
    expect(await client.read()).toMatch(/^HTTP\/1\.1 200 /);
    expect(both.flatMap(({ seen }) => seen.map(({ body }) => body))).toEqual(["abcdefg", "abcdefg"]);
  });

  it("a response in the middle of the upload is discarded, and the whole upload goes to the next attempt", async () => {
    const early = await rawUpstream((socket, received) => {
      if (received.endsWith("first ") || received.startsWith("GET"))
        socket.write("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    });
    const late = await upstream("late");
    const { port, metric } = await perch(
      shopYaml({
        stable: late.origin,
        canary: early.origin,
        service: "default: stable, retries: { attempts: 1, otherVersion: true }",
        release: "split: { canary: 1 }",
        more,
      }),
    );
    const client = await rawClient(port);
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nfirst ");
    await expect.poll(() => metric(upstreamErrors("status-503", "canary"))).toBe(1);
    client.send("second");
    await client.read((received) => received.includes("hello from late"));
    client.send("GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect((await client.read()).match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(late.seen.map(({ body }) => body)).toEqual(["first second", ""]);
  });

  it("a response that does not end is discarded too", async () => {
    const endless = await rawUpstream((socket, received) => {
      if (received.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 503 Busy\r\n\r\nand so on");
    });
    const both = await inTurn();
    const { origin, metric } = await perchTo([endless.origin, both[0].origin], "{}");
    for (let i = 0; i < 6; i++) expect((await fetch(origin)).status).toBe(200);
    expect(await metric(upstreamErrors("status-503"))).toBeGreaterThan(0);
    for (const socket of endless.sockets) await expect.poll(() => socket.destroyed).toBe(true);
  });

  it("a service that fails every request gets retries within the budget only", async () => {
    const busy = await upstream("busy", (_request, response) => response.writeHead(503).end());
    const { origin, metric } = await perchTo([busy.origin], "{ budget: 10% }");
    for (let i = 0; i < 30; i++) expect((await fetch(origin)).status).toBe(503);
    expect(await metric(retries("denied"))).toBeGreaterThan(0);
    expect(busy.seen.length).toBeLessThan(60);
  });

  it("the default version answers for a failing canary, and the failures are counted as the canary's", async () => {
    const stable = await upstream("stable");
    const canary = await upstream("canary", (_request, response) => response.writeHead(500).end());
    const yaml = shopYaml({
      stable: stable.origin,
      canary: canary.origin,
      service: "retries: { attempts: 1, on: [500], otherVersion: true }",
      release: "split: { canary: 1 }, override: { header: x-perch-version, allowFrom: [127.0.0.0/8] }",
      more: `${more}\nexposeVersion: true`,
    });
    const { origin, metric, log } = await loggedPerch(yaml);
    const response = await fetch(origin);
    expect([response.status, response.headers.get("x-perch-version")]).toEqual([200, "stable"]);
    expect([await metric(requestsTotal(200)), await metric(requestsTotal(500, "canary"))]).toEqual([1, undefined]);
    expect([await metric(upstreamErrors("status-500", "canary")), await metric(upstreamErrors("status-500"))]).toEqual([
      1, 0,
    ]);
    expect([await metric(retries("rescued", "canary")), await metric(retries("success"))]).toEqual([1, 0]);
    expect(await metric('perch_fallbacks_total{service="shop",version="canary"}')).toBe(0);
    const tester = await fetch(origin, { headers: { "x-perch-version": "canary" } });
    expect([tester.status, tester.headers.get("x-perch-version")]).toEqual([500, "canary"]);
    const [first] = await log();
    expect(first).toMatchObject({ version: "stable", assigned: "canary", rescued: true, attempts: 2 });
  });
});
