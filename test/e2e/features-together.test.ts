import { describe, expect, it } from "vitest";
import { turn } from "../kit/bell.ts";
import { perch, rawClient, upstream } from "../kit/freed.ts";
import { exchange, lanes } from "../kit/one-service.ts";
import { soon } from "../kit/served.ts";
import { refusedOrigin } from "../kit/upstream.ts";

const get = (path: string, fields = "") =>
  `GET ${path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n${fields}\r\n`;

describe.each(lanes)("features that meet, in the $lane lane", ({ fastLane }) => {
  it("a copy of a rewritten request names the endpoint that gets it, and bears its own version's edits once", async () => {
    const [stable, canary] = [await upstream("stable"), await upstream("canary")];
    const served = await perch(`
fastLane: ${fastLane}
services:
  shop:
    versions:
      stable: { endpoints: ["${stable.origin}"], requestHeaders: { add: { x-edited: stable } } }
      canary: { endpoints: ["${canary.origin}"], requestHeaders: { add: { x-edited: canary } } }
releases: { shop: { split: { stable: 1, canary: 0 }, mirror: { version: canary, percent: 100 } } }
routes:
  - name: api
    match: { path: { prefix: /api } }
    service: shop
    release: shop
    rewrite: { prefix: /in, host: upstream }`);
    await exchange(served.port, get("/api/a?b=1"));
    await expect.poll(() => canary.seen.length, soon).toBe(1);
    const said = [stable, canary].map(({ seen }) => [
      seen[0]?.url,
      seen[0]?.headers["host"],
      seen[0]?.headers["x-edited"],
    ]);
    expect(said).toEqual([
      ["/in/a?b=1", `127.0.0.1:${stable.port}`, "stable"],
      ["/in/a?b=1", `127.0.0.1:${canary.port}`, "canary"],
    ]);
  });

  it("a body that came in chunks goes in chunks at every attempt", async () => {
    const statuses = [503, 503, 200];
    const stable = await upstream("stable", (_request, response) => {
      response.writeHead(statuses.shift() ?? 200).end();
    });
    const served = await perch(`
fastLane: ${fastLane}
services:
  shop:
    versions: { stable: { endpoints: ["${stable.origin}"] } }
    retries: { budget: 100% }
routes: [{ name: all, service: shop }]`);
    const body = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n";
    const answer = await exchange(served.port, get("/", body).replace("GET", "PUT"));
    expect(answer).toContain("200 OK");
    const framing = stable.seen.map(({ headers, body }) => [
      headers["transfer-encoding"],
      headers["content-length"],
      body,
    ]);
    expect(framing).toEqual(Array(3).fill(["chunked", undefined, "hello"]));
  });

  it.each([
    ["a length", "Content-Length: 5\r\n\r\n", "hello"],
    ["chunks", "Transfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"],
  ])(
    "an upload by %s that meets a refusing endpoint first goes to the next, whenever it comes",
    async (_by, framing, body) => {
      const stable = await upstream("stable");
      const served = await perch(
        `
fastLane: ${fastLane}
services:
  shop:
    versions: { stable: { endpoints: [REFUSED, "${stable.origin}"] } }
    balance: round-robin
    retries: {}
routes: [{ name: all, service: shop }]`.replace("REFUSED", await refusedOrigin()),
      );
      for (const late of [false, true, false, true]) {
        const client = await rawClient(served.port);
        client.send(`PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${framing}${late ? "" : body}`);
        if (late) await turn().then(() => client.send(body));
        expect(await client.read()).toContain("200 OK");
      }
      expect(stable.seen.map(({ body }) => body)).toEqual(Array(4).fill("hello"));
    },
  );
});
