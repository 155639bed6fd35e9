import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { JWK } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { JwksFetcher } from "../../src/app/jwks-fetcher.ts";
import { PublishedKeyRegistry } from "../../src/identify/published-keys.ts";
import { JwksStats } from "../../src/observe/process-stats.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { keySet, signer } from "../kit/tokens.ts";

let first: JWK;
let second: JWK;
beforeAll(async () => {
  [first, second] = [(await signer("ES256", "first")).jwk, (await signer("ES256", "second")).jwk];
});

type Respond = (request: IncomingMessage, response: ServerResponse) => void;
const serve =
  (body: string, headers: Record<string, string> = {}): Respond =>
  (_request, response) =>
    response.writeHead(200, headers).end(body);

/** A publisher, and a fetcher with a clock that the test moves. */
async function fetching(respond: Respond) {
  const publisher = { respond, requests: 0 };
  const server = createServer((request, response) => {
    publisher.requests++;
    publisher.respond(request, response);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  freeAfterTest(async () => void server.close().closeAllConnections());
  const clock = { ms: 0, tasks: new Set<{ readonly atMs: number; readonly task: () => void }>() };
  const stats = new JwksStats();
  const fetcher = new JwksFetcher({
    stats,
    log: undefined,
    monotonicMs: () => clock.ms,
    schedule(ms, task) {
      const entry = { atMs: clock.ms + ms, task };
      clock.tasks.add(entry);
      return () => void clock.tasks.delete(entry);
    },
  });
  freeAfterTest(() => fetcher.close());
  const registry = new PublishedKeyRegistry(fetcher);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  const generation = registry.next();
  const keys = generation.keysAt(url);
  generation.commit();
  const fetches = async (success: number, failure: number) => {
    await expect
      .poll(() => [...stats.fetches.series()], { timeout: 5_000, interval: 5 })
      .toEqual([
        { labels: ["success"], value: success },
        { labels: ["failure"], value: failure },
      ]);
    await expect.poll(() => clock.tasks.size).toBe(1);
  };
  return {
    publisher,
    registry,
    url,
    keys,
    kids: () => keys.keys.map(({ kid }) => kid),
    fetches,
    /** Time until the next fetch. */
    nextInMs: () => Math.min(...Array.from(clock.tasks, ({ atMs }) => atMs - clock.ms)),
    advance(ms: number) {
      clock.ms += ms;
      for (const entry of [...clock.tasks]) {
        if (entry.atMs > clock.ms) continue;
        clock.tasks.delete(entry);
        entry.task();
      }
    },
    scheduled: () => clock.tasks.size,
  };
}

describe("published keys", () => {
  it("are fetched when a configuration names them, and again when they expire", async () => {
    const { publisher, kids, keys, fetches, nextInMs, advance } = await fetching(serve(keySet(first)));
    expect(kids()).toEqual([]);
    await fetches(1, 0);
    expect([kids(), keys.generation, nextInMs()]).toEqual([["first"], 1, 300_000]);
    publisher.respond = serve(keySet(first, second));
    advance(300_000);
    await fetches(2, 0);
    expect([kids(), keys.generation]).toEqual([["first", "second"], 2]);
    advance(300_000);
    await fetches(3, 0);
    expect(keys.generation).toBe(2);
  });

  it.each([
    ["max-age=600", 600_000],
    ["public, max-age=5", 60_000],
    ["max-age=999999999", 3_600_000],
    ["no-store", 300_000],
    ["s-maxage=7, max-age=x", 300_000],
  ])("expire by %j, within bounds", async (cacheControl, wantedMs) => {
    const { fetches, nextInMs } = await fetching(serve(keySet(first), { "cache-control": cacheControl }));
    await fetches(1, 0);
    expect(nextInMs()).toBe(wantedMs);
  });

  const failures: readonly [sentence: string, respond: Respond][] = [
    ["responds with an error", (_, response) => response.writeHead(500).end(keySet(second))],
    ["redirects", (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end()],
    ["resets the connection", (request) => request.socket.destroy()],
    ["does not send JSON", serve("<html>")],
    ["sends no key", serve(keySet())],
    ["sends a shared secret", serve(keySet({ kty: "oct", k: Buffer.alloc(32).toString("base64url") }))],
    ["sends too much", (_, response) => void response.write("x".repeat(600_000))],
  ];
  it.each(failures)("stay in use if the publisher %s, and the fetch is retried", async (_sentence, respond) => {
    const { publisher, kids, fetches, nextInMs, advance } = await fetching(serve(keySet(first)));
    await fetches(1, 0);
    publisher.respond = respond;
    advance(300_000);
    await fetches(1, 1);
    expect([kids(), nextInMs()]).toEqual([["first"], 1_000]);
    advance(1_000);
    await fetches(1, 2);
    expect([kids(), nextInMs()]).toEqual([["first"], 2_000]);
    publisher.respond = serve(keySet(second));
    advance(2_000);
    await fetches(2, 2);
    expect([kids(), nextInMs()]).toEqual([["second"], 300_000]);
  });

  it("are fetched when a token has an unknown key id, at most every 30 seconds", async () => {
    const { publisher, keys, kids, fetches, advance, scheduled } = await fetching(serve(keySet(first)));
    await fetches(1, 0);
    publisher.respond = serve(keySet(first, second));
    advance(29_999);
    keys.missed();
    // The scheduled fetch remains: an immediate one would have replaced it.
    expect(scheduled()).toBe(1);
    advance(1);
    keys.missed();
    keys.missed();
    await fetches(2, 0);
    expect([kids(), publisher.requests]).toEqual([["first", "second"], 2]);
    keys.missed();
    expect([scheduled(), publisher.requests]).toEqual([1, 2]);
  });

  it("are kept across reloads, and no longer fetched once nothing names them", async () => {
    const { publisher, registry, url, keys, fetches, advance, scheduled } = await fetching(serve(keySet(first)));
    await fetches(1, 0);
    const again = registry.next();
    expect(again.keysAt(url)).toBe(keys);
    again.commit();
    registry.next().commit();
    expect(scheduled()).toBe(0);
    advance(3_600_000);
    keys.missed();
    expect(publisher.requests).toBe(1);
  });
});
