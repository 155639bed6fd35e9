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

/** A publisher, a fetcher with a clock that is moved by hand, and what is known of its keys. */
async function fetching(respond: Respond) {
  const publisher = { respond, asked: 0 };
  const server = createServer((request, response) => {
    publisher.asked++;
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
      return { cancel: () => void clock.tasks.delete(entry) };
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
    /** When it will be asked next, from now. */
    nextInMs: () => Math.min(...Array.from(clock.tasks, ({ atMs }) => atMs - clock.ms)),
    pass(ms: number) {
      clock.ms += ms;
      for (const entry of [...clock.tasks]) {
        if (entry.atMs > clock.ms) continue;
        clock.tasks.delete(entry);
        entry.task();
      }
    },
    waiting: () => clock.tasks.size,
  };
}

describe("published keys", () => {
  it("are fetched once they are named, and again when they may be out of date", async () => {
    const { publisher, kids, keys, fetches, nextInMs, pass } = await fetching(serve(keySet(first)));
    expect(kids()).toEqual([]);
    await fetches(1, 0);
    expect([kids(), keys.generation, nextInMs()]).toEqual([["first"], 1, 300_000]);
    publisher.respond = serve(keySet(first, second));
    pass(300_000);
    await fetches(2, 0);
    expect([kids(), keys.generation]).toEqual([["first", "second"], 2]);
    pass(300_000);
    await fetches(3, 0);
    expect(keys.generation).toBe(2);
  });

  it.each([
    ["max-age=600", 600_000],
    ["public, max-age=5", 60_000],
    ["max-age=999999999", 3_600_000],
    ["no-store", 300_000],
    ["s-maxage=7, max-age=x", 300_000],
  ])("live as long as %j says, within bounds", async (cacheControl, wantedMs) => {
    const { fetches, nextInMs } = await fetching(serve(keySet(first), { "cache-control": cacheControl }));
    await fetches(1, 0);
    expect(nextInMs()).toBe(wantedMs);
  });

  const failures: readonly [sentence: string, respond: Respond][] = [
    ["answers an error", (_, response) => response.writeHead(500).end(keySet(second))],
    ["redirects", (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end()],
    ["breaks off", (request) => request.socket.destroy()],
    ["answers no JSON", serve("<html>")],
    ["answers no key", serve(keySet())],
    ["answers a shared secret", serve(keySet({ kty: "oct", k: Buffer.alloc(32).toString("base64url") }))],
    ["never stops answering", (_, response) => void response.write("x".repeat(600_000))],
  ];
  it.each(failures)(
    "stay as they are where the publisher %s, which is asked again soon",
    async (_sentence, respond) => {
      const { publisher, kids, fetches, nextInMs, pass } = await fetching(serve(keySet(first)));
      await fetches(1, 0);
      publisher.respond = respond;
      pass(300_000);
      await fetches(1, 1);
      expect([kids(), nextInMs()]).toEqual([["first"], 1_000]);
      pass(1_000);
      await fetches(1, 2);
      expect([kids(), nextInMs()]).toEqual([["first"], 2_000]);
      publisher.respond = serve(keySet(second));
      pass(2_000);
      await fetches(2, 2);
      expect([kids(), nextInMs()]).toEqual([["second"], 300_000]);
    },
  );

  it("are asked for when a token names another, but not more often than every 30 seconds", async () => {
    const { publisher, keys, kids, fetches, pass, waiting } = await fetching(serve(keySet(first)));
    await fetches(1, 0);
    publisher.respond = serve(keySet(first, second));
    pass(29_999);
    keys.missed();
    // The next fetch is still to come: a fetch takes its place.
    expect(waiting()).toBe(1);
    pass(1);
    keys.missed();
    keys.missed();
    await fetches(2, 0);
    expect([kids(), publisher.asked]).toEqual([["first", "second"], 2]);
    keys.missed();
    expect([waiting(), publisher.asked]).toEqual([1, 2]);
  });

  it("are the same across reloads, and no longer fetched once nothing names them", async () => {
    const { publisher, registry, url, keys, fetches, pass, waiting } = await fetching(serve(keySet(first)));
    await fetches(1, 0);
    const again = registry.next();
    expect(again.keysAt(url)).toBe(keys);
    again.commit();
    registry.next().commit();
    expect(waiting()).toBe(0);
    pass(3_600_000);
    keys.missed();
    expect(publisher.asked).toBe(1);
  });
});
