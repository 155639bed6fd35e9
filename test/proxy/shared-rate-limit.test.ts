/** @module-tag slow */
import net from "node:net";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/decide/ip-address.ts";
import { RateLimitStats } from "../../src/observe/route-stats.ts";
import { type LimitVerdict, RateLimit } from "../../src/proxy/rate-limit.ts";
import type { BucketState, SharedBuckets } from "../../src/proxy/token-store.ts";
import { TokenBuckets } from "../../src/upstream/token-bucket.ts";
import { freeAfterTest, listening, perch, upstream } from "../kit/freed.ts";
import { loadedBy } from "../kit/loaded-packages.ts";
import { exchange, lanes, shopYaml } from "../kit/one-service.ts";
import { refusedOrigin } from "../kit/upstream.ts";

/** Keeps who asks, and what they are told is the test's to say. */
class Store implements SharedBuckets {
  isThere = true;
  readonly asked: { readonly requester: string; readonly answer: (state: BucketState | undefined) => void }[] = [];

  take(requester: string, answer: (state: BucketState | undefined) => void): boolean {
    if (this.isThere) this.asked.push({ requester, answer });
    return this.isThere;
  }
}

const ada = { clientAddress: parseAddress("192.0.2.1"), attribute: () => undefined };
const bob = { clientAddress: parseAddress("192.0.2.2"), attribute: () => undefined };

function limit(requests = 2) {
  const store = new Store();
  const stats = new RateLimitStats("shared");
  const rate = { requests, perMs: 10_000, burst: requests };
  const spec = { by: { kind: "clientAddress" }, ...rate, shared: undefined } as const;
  const limited = new RateLimit(spec, { own: new TokenBuckets(rate), shared: store }, stats);
  const verdicts: (readonly [LimitVerdict, string])[] = [];
  const ask = (who: typeof ada, nowMs: number) =>
    limited.ask(who, nowMs, (verdict, event) => void verdicts.push([verdict, event]));
  return { store, stats, ask, verdicts };
}

const over = (retryAfterSeconds: number) => ({ error: "rate-limited", cause: "route-limit", retryAfterSeconds });

describe("a shared limit", () => {
  it("passes whom the store has a token for, and says to others when they have one", () => {
    const { store, stats, ask, verdicts } = limit();
    expect(ask(ada, 0)).toBe("asked");
    expect(store.asked[0]?.requester).toBe("192.0.2.1");
    store.asked[0]?.answer({ isTaken: true, fullInMs: 5_000 });
    expect(ask(bob, 0)).toBe("asked");
    store.asked[1]?.answer({ isTaken: false, fullInMs: 8_500 });
    expect(verdicts).toEqual([
      ["passed", "answer"],
      [over(4), "answer"],
    ]);
    expect([stats.rejected.value, stats.fallbacks.value]).toEqual([1, 0]);
  });

  it("refuses without asking until there can be a token", () => {
    const { store, stats, ask } = limit();
    ask(ada, 1_000);
    store.asked[0]?.answer({ isTaken: false, fullInMs: 9_000 });
    // Full at 10 s, so that there is a token from 5 s on.
    expect(ask(ada, 4_999)).toEqual(over(1));
    expect(ask(ada, 1_000)).toEqual(over(4));
    expect(ask(bob, 1_000)).toBe("asked");
    expect(ask(ada, 5_000)).toBe("asked");
    expect(store.asked).toHaveLength(3);
    expect(stats.rejected.value).toBe(3);
  });

  it("takes the last token, and knows that it was the last", () => {
    const { store, ask } = limit();
    ask(ada, 0);
    store.asked[0]?.answer({ isTaken: true, fullInMs: 10_000 });
    expect(ask(ada, 0)).toEqual(over(5));
  });

  it("counts alone while there is no store, from what it knew of the bucket, and says so", () => {
    const { store, stats, ask } = limit(3);
    ask(ada, 0);
    store.asked[0]?.answer({ isTaken: true, fullInMs: 3_400 });
    store.isThere = false;
    expect([ask(ada, 0), ask(ada, 0)]).toEqual(["passed", over(1)]);
    expect([ask(bob, 0), ask(bob, 0), ask(bob, 0), ask(bob, 0)]).toEqual(["passed", "passed", "passed", over(4)]);
    // Who is known to have no token takes none from this process either.
    expect(stats.fallbacks.value).toBe(4);
  });

  it("counts alone what was asked and has no answer", () => {
    const { store, stats, ask, verdicts } = limit(1);
    ask(ada, 0);
    ask(ada, 0);
    for (const { answer } of store.asked) answer(undefined);
    expect(verdicts).toEqual([
      ["passed", "no answer"],
      [over(10), "no answer"],
    ]);
    expect(stats.fallbacks.value).toBe(2);
  });
});

const sharedBy = (port: number) =>
  `rateLimit: { requests: 2, per: 1h, shared: { redis: "redis://127.0.0.1:${port}" } }`;
const request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none";
const last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const statusesIn = (answers: string) => Array.from(answers.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => status);

describe.each(lanes)("a shared limit without its Redis, in the $lane lane", ({ fastLane }) => {
  it.each([
    ["refuses connections", async () => Number(new URL(await refusedOrigin()).port)],
    ["accepts them and says nothing", () => listening(net.createServer(() => {}))],
    [
      "accepts them and speaks another protocol",
      () => listening(net.createServer((s) => void s.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\n\r\n"))),
    ],
  ])("is that of one process where it %s", async (_what, start) => {
    const port = await start();
    const stable = await upstream("stable");
    const { port: to, metric } = await perch(
      shopYaml({ stable: stable.origin, route: sharedBy(port), more: `fastLane: ${fastLane}` }),
    );
    expect(statusesIn(await exchange(to, `${request}${request}${request}${last}`))).toEqual([
      "200",
      "200",
      "429",
      "429",
    ]);
    expect(stable.seen.map(({ body }) => body)).toEqual(["one", "one"]);
    expect(await metric('perch_rate_limit_shared_fallbacks_total{route="all"}')).toBe(2);
    expect(await metric('perch_rate_limited_total{route="all"}')).toBe(2);
    expect(await metric(`perch_redis_connections{redis="127.0.0.1:${port}"}`)).toBe(0);
  });
});

describe("a Redis that cannot be trusted", () => {
  /** To every command it says that a token was taken, and `later` once it was asked for one. */
  async function lying(later: string) {
    const sockets: net.Socket[] = [];
    const port = await listening(
      net.createServer((socket) => {
        sockets.push(socket);
        let commands = 0;
        socket.on("error", () => {}).on("data", () => socket.write(++commands === 1 ? ":1\r\n" : later));
      }),
    );
    freeAfterTest(async () => {
      for (const socket of sockets) socket.destroy();
    });
    return port;
  }

  it.each([
    ["answers twice", ":1\r\n:1\r\n:1\r\n"],
    ["answers no number", "+OK\r\n"],
    ["answers a number that none has", ":99999999999999999999999\r\n"],
    ["answers a list of lists", `${"*1\r\n".repeat(1_000)}:1\r\n`],
    ["answers an error", "-OOM command not allowed\r\n"],
    ["answers bytes of no protocol", "\0\xff hello\r\n\r\n"],
    ["answers too slowly to end", "$100\r\nabc"],
  ])("fails no request where it %s", async (_what, later) => {
    const port = await lying(later);
    const stable = await upstream("stable");
    const { port: to, metric } = await perch(shopYaml({ stable: stable.origin, route: sharedBy(port) }));
    expect(await metric(`perch_redis_connections{redis="127.0.0.1:${port}"}`)).toBe(1);
    expect(statusesIn(await exchange(to, `${request}${last}`))[0]).toBe("200");
    const again = await exchange(to, last);
    expect(["200", "429"]).toContain(statusesIn(again)[0]);
    expect(stable.seen[0]?.body).toBe("one");
  });
});

it("the client for Redis is loaded only where a configuration asks for it", { tags: ["slow"] }, async () => {
  const started = (route: string) => `
    const { App } = await import("./src/app/app.ts");
    const text = \`listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] } } } }
routes: [{ name: all, service: shop, ${route} }]\`;
    const app = await App.start({ source: { kind: "text", name: "a.yaml", text }, env: {}, logLevel: "silent",
      drainDelayMs: 0, drainTimeoutMs: 0, accessLogTo: "/dev/null" });
    await app.stop();`;
  expect((await loadedBy(started("rateLimit: { requests: 1 }"))).packages).not.toContain("@redis/client");
  expect((await loadedBy(started(sharedBy(1)))).packages).toContain("@redis/client");
});
