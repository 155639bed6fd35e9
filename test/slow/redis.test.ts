import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { rateArguments, takeTokenScript } from "../../src/redis/take-token.ts";
import { perch, rawClient, rawUpstream, upstream } from "../kit/freed.ts";
import { H2Client } from "../kit/h2-client.ts";
import { exchange, lanes, requestsTotal, shopYaml } from "../kit/one-service.ts";
import { certFile, keyFile } from "../kit/pki.ts";
import { hasRedis, RedisServer } from "../kit/redis-server.ts";
import { type ServedPerch, servePerch, soon, temporaryFolder } from "../kit/served.ts";
import { switchedHead, upgradeHead } from "../kit/websocket.ts";

if (!hasRedis) console.info("skipped: what needs redis-server, which is not installed");

const fallbacks = 'perch_rate_limit_shared_fallbacks_total{route="all"}';
const connections = (server: RedisServer) => `perch_redis_connections{redis="127.0.0.1:${server.port}"}`;

interface Limit {
  readonly limit: string;
  readonly redis: { readonly port: number };
  readonly shared?: string;
  readonly more?: string;
}

/** A route to one endpoint, whose limit is shared. */
const limited = (origin: string, { limit, redis, shared = "", more = "" }: Limit) =>
  shopYaml({
    stable: origin,
    route: `rateLimit: { ${limit}, shared: { redis: "redis://127.0.0.1:${redis.port}", ${shared} } }`,
    more,
  });

/** Statuses of so many requests at once, spread over these addresses, by how often each came. */
async function statuses(origins: readonly string[], count: number): Promise<Readonly<Record<string, number>>> {
  const tally: Record<string, number> = {};
  const ask = async (at: number) => {
    const response = await fetch(`${origins[at % origins.length]}/`);
    await response.arrayBuffer();
    tally[response.status] = (tally[response.status] ?? 0) + 1;
  };
  await Promise.all(Array.from({ length: count }, (_, at) => ask(at)));
  return tally;
}

/** Options of a Redis with this user, whose password is open-sesame. */
const userOf = (name: string, ...rules: readonly string[]) => ["--user", name, "on", ">open-sesame", ...rules];

/** Perch in this process, once it is connected. */
async function connected(yaml: string, redis: RedisServer, options?: Parameters<typeof perch>[1]) {
  const started = await perch(yaml, options);
  await expect.poll(() => started.metric(connections(redis)), soon).toBe(1);
  return started;
}

/** The same as a process of its own. */
async function served(yaml: string, redis: RedisServer, workers = 1, main?: string): Promise<ServedPerch> {
  const started = await servePerch(yaml, [], main);
  await expect.poll(() => started.metric(connections(redis)), soon).toBe(workers);
  return started;
}

const statusesIn = (answers: string) => Array.from(answers.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => status);

describe.skipIf(!hasRedis).each(lanes)("a limit in Redis, in the $lane lane", ({ fastLane }) => {
  const start = async (limit: string, shared = "", more = "") => {
    const redis = await RedisServer.start();
    const stable = await upstream("stable");
    const yaml = limited(stable.origin, { limit, redis, shared, more: `fastLane: ${fastLane}\n${more}` });
    return { redis, stable, yaml };
  };

  it("holds over two processes and their workers: of many requests exactly so many pass", async () => {
    const { redis, stable, yaml } = await start("requests: 100, per: 1h", "timeout: 1s", "workers: 2");
    const both = [await served(yaml, redis, 2), await served(yaml, redis, 2)];
    expect(
      await statuses(
        both.map(({ origin }) => origin),
        300,
      ),
    ).toEqual({ 200: 100, 429: 200 });
    expect(stable.seen).toHaveLength(100);
    const refused = await fetch(both[1]?.origin ?? "");
    expect(refused.headers.get("x-perch-error")).toBe("rate-limited");
    expect(refused.headers.get("retry-after")).toMatch(/^(?:3[0-6]|2\d)$/);
    for (const one of both) expect(await one.metric(fallbacks)).toBe(0);
  });

  it("gives a burst after a pause and then one token each interval, and leaves nothing in Redis", async () => {
    const { redis, yaml } = await start("requests: 2, per: 2s, burst: 4", "timeout: 1s");
    const { origin, metric } = await connected(yaml, redis);
    expect(await statuses([origin], 4)).toEqual({ 200: 4 });
    await expect.poll(async () => (await statuses([origin], 1))[200], { interval: 5 }).toBe(1);
    // The bucket is empty again, and full after 4 s: then the key is gone.
    expect(await redis.ask("DBSIZE")).toBe(1);
    await expect.poll(() => redis.ask("DBSIZE"), soon).toBe(0);
    expect(await statuses([origin], 4)).toEqual({ 200: 4 });
    expect(await metric(fallbacks)).toBe(0);
  });

  it("refuses as a limit of one process does: before a decision, on a connection that stays", async () => {
    const { redis, stable } = await start("");
    const limit = (requests: number) =>
      `rateLimit: { requests: ${requests}, per: 1h, shared: { redis: "redis://127.0.0.1:${redis.port}", timeout: 1s } }`;
    const { port, metric } = await perch(`
fastLane: ${fastLane}
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] } } } }
releases: { shop: { split: { stable: 1 } } }
routes:
  - { name: few, match: { path: { prefix: /few } }, service: shop, release: shop, ${limit(2)} }
  - { name: moved, match: { path: { prefix: /moved } }, redirect: { path: / }, ${limit(1)} }
  - { name: all, service: shop }`);
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n`;
    const paths = ["/few", "/few", "/few", "/moved", "/moved", "/all"];
    const sent = `${paths.map((path) => `${get(path)}\r\n`).join("")}${get("/few")}Connection: close\r\n\r\n`;
    const answers = await exchange(port, sent);
    expect(statusesIn(answers)).toEqual(["200", "200", "429", "302", "429", "200", "429"]);
    expect(answers).toMatch(/\r\nRetry-After: 1[78]\d\d\r\n/);
    expect(answers.match(/Set-Cookie/g)).toHaveLength(2);
    expect(await metric('perch_rate_limited_total{route="few"}')).toBe(2);
    const series = 'route="few",service="shop",version="none",code="429",method="GET"';
    expect(await metric(`perch_requests_total{${series}}`)).toBe(2);
    expect(await metric('perch_decisions_total{release="shop",version="stable",reason="split"}')).toBe(2);
  });

  it("waits for Redis without losing a byte of bodies and of pipelined requests", async () => {
    const { redis, stable, yaml } = await start("requests: 100, per: 1h", "timeout: 1s");
    const { port, metric } = await connected(yaml, redis);
    const long = "0123456789".repeat(30_000);
    const chunks = Array.from({ length: 20 }, (_, at) => String(at).repeat(5_000));
    const chunked = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("");
    await redis.ask("CLIENT", "PAUSE", "300", "ALL");
    const requests = [
      `POST /long HTTP/1.1\r\nHost: a\r\nContent-Length: ${long.length}\r\n\r\n${long}`,
      `POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}0\r\n\r\n`,
      "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ];
    const answers = await exchange(port, requests.join(""));
    expect(statusesIn(answers)).toEqual(["200", "200", "200"]);
    const bodies = stable.seen.map(({ url, body }) => [url, body.length, body.slice(-10)]);
    expect(bodies).toEqual([
      ["/long", long.length, "0123456789"],
      ["/chunked", chunks.join("").length, "1919191919"],
      ["/last", 0, ""],
    ]);
    expect(stable.seen[0]?.body).toBe(long);
    expect(stable.seen[1]?.body).toBe(chunks.join(""));
    expect(await metric(fallbacks)).toBe(0);
  });

  it("a client that leaves while it waits is not forwarded, and counted as one who left", async () => {
    const { redis, stable, yaml } = await start("requests: 100, per: 1h", "timeout: 1s");
    const { port, metric } = await connected(yaml, redis);
    await redis.ask("CLIENT", "PAUSE", "500", "ALL");
    const client = await rawClient(port);
    client.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    await delay(100);
    client.close();
    await expect.poll(() => metric(requestsTotal(499, "none")), soon).toBe(1);
    // One more request, so that Redis has answered the first.
    expect(statusesIn(await exchange(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))).toEqual(["200"]);
    expect(stable.seen.map(({ url }) => url)).toEqual(["/"]);
  });

  it("a request that waits is answered by a process that ends", async () => {
    const { redis, yaml } = await start("requests: 100, per: 1h", "timeout: 1s");
    const ending = await served(yaml, redis);
    await redis.ask("CLIENT", "PAUSE", "500", "ALL");
    const client = await rawClient(ending.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await delay(100);
    ending.process.signal("SIGTERM");
    const answer = await client.read();
    expect(answer).toMatch(/^HTTP\/1\.1 200 .*\r\nConnection: close\r\n/s);
    expect(await ending.process.exited).toBe(0);
  });

  it("Redis killed under load: no request is lost, the limit of one process holds, and it is said once", async () => {
    const { redis, yaml } = await start("requests: 1000, per: 24h", "timeout: 1s");
    const loaded = await served(yaml, redis);
    let isOver = false;
    const seen: Record<string, number> = {};
    const load = async () => {
      while (!isOver) {
        const response = await fetch(loaded.origin);
        await response.arrayBuffer();
        seen[response.status] = (seen[response.status] ?? 0) + 1;
      }
    };
    const running = Array.from({ length: 8 }, load);
    await expect.poll(() => seen[200] ?? 0, { interval: 5 }).toBeGreaterThan(100);
    await redis.kill();
    await expect.poll(() => seen[429] ?? 0, { timeout: 20_000, interval: 5 }).toBeGreaterThan(100);
    isOver = true;
    await Promise.all(running);
    // What was let through before the outage counts after it. Answers that were lost with Redis are let through twice.
    expect(Object.keys(seen).sort()).toEqual(["200", "429"]);
    expect(seen[200]).toBeGreaterThanOrEqual(1000);
    expect(seen[200]).toBeLessThanOrEqual(1008);
    expect(await loaded.metric(fallbacks)).toBeGreaterThan(0);
    expect(await loaded.metric(connections(redis))).toBe(0);
    const said = (text: string) => loaded.process.stderr.split(text).length - 1;
    expect(said("Redis cannot be used now")).toBe(1);
    await redis.start();
    await expect.poll(() => loaded.metric(connections(redis)), { timeout: 20_000, interval: 50 }).toBe(1);
    expect(said("Redis cannot be used now")).toBe(1);
    expect(said("Redis can be used again")).toBe(1);
  });

  it("Redis frozen: requests wait no longer than they may, and it counts again once it moves", async () => {
    const { redis, yaml } = await start("requests: 100, per: 1h", "timeout: 1s");
    const { origin, metric } = await connected(yaml, redis);
    expect(await statuses([origin], 10)).toEqual({ 200: 10 });
    expect(await metric(fallbacks)).toBe(0);
    redis.freeze();
    expect(await statuses([origin], 10)).toEqual({ 200: 10 });
    expect(await metric(fallbacks)).toBe(10);
    expect(await metric(connections(redis))).toBe(0);
    // Nothing waits while it is away.
    expect(await statuses([origin], 10)).toEqual({ 200: 10 });
    redis.thaw();
    await expect.poll(() => metric(connections(redis)), { timeout: 20_000, interval: 50 }).toBe(1);
    const before = await metric(fallbacks);
    expect(await statuses([origin], 10)).toEqual({ 200: 10 });
    expect(await metric(fallbacks)).toBe(before);
  });

  it("scripts flushed: no request notices", async () => {
    const { redis, yaml } = await start("requests: 30, per: 1h", "timeout: 1s");
    const { origin, metric } = await connected(yaml, redis);
    expect(await statuses([origin], 10)).toEqual({ 200: 10 });
    await redis.ask("SCRIPT", "FLUSH");
    expect(await statuses([origin], 30)).toEqual({ 200: 20, 429: 10 });
    expect(await metric(fallbacks)).toBe(0);
  });
});

describe.skipIf(!hasRedis)("a limit in Redis", () => {
  it("fills by one token each interval, by the clock of Redis, and is not full before its time", async () => {
    const redis = await RedisServer.start();
    const rate = rateArguments({ requests: 10, perMs: 1_000, burst: 100 });
    const take = async () => Number(await redis.ask("EVAL", takeTokenScript, "1", "bucket", ...rate));
    let tokens = 0;
    for (let left = await take(); left > 0; left = await take()) tokens++;
    expect(tokens).toBeGreaterThanOrEqual(100);
    // As many more as came meanwhile.
    expect(tokens).toBeLessThan(200);
    let fullInMicros = 0;
    const retake = async () => {
      fullInMicros = await take();
      return fullInMicros;
    };
    await expect.poll(retake, { interval: 5 }).toBeGreaterThan(0);
    expect(fullInMicros).toBeGreaterThan(5_000_000);
    expect(fullInMicros).toBeLessThanOrEqual(10_000_000);
  });

  it("holds whatever the clocks of the processes say", async () => {
    const redis = await RedisServer.start();
    const stable = await upstream("stable");
    const yaml = limited(stable.origin, { limit: "requests: 20, per: 1h", redis, shared: "timeout: 1s" });
    const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
    const late = join(await temporaryFolder(), "late.mjs");
    const anHour = 3_600_000;
    await writeFile(late, `const now = Date.now;\nDate.now = () => now() + ${anHour};\nawait import("${main}");\n`);
    const [one, other] = [await served(yaml, redis), await served(yaml, redis, 1, late)];
    expect(await statuses([one.origin, other.origin], 60)).toEqual({ 200: 20, 429: 40 });
    const date = (await fetch(other.origin)).headers.get("date") ?? "";
    expect(Date.parse(date) - Date.now()).toBeGreaterThan(anHour / 2);
  });

  it("takes whatever names clients choose, and each counts by itself", async () => {
    const redis = await RedisServer.start();
    const stable = await upstream("stable");
    const more = "attributes: { user: { type: string, from: [{ query: user }] } }";
    const limit = "by: user, requests: 1, per: 1h";
    const { origin, metric } = await connected(
      limited(stable.origin, { limit, redis, shared: "timeout: 1s", more }),
      redis,
    );
    await redis.ask("SET", "witness", "here");
    const names = [
      "a",
      "A",
      "a:",
      "*",
      "a b",
      "é",
      "\u{1F426}",
      "\r\nFLUSHALL\r\n",
      "$5\r\nhello",
      "x".repeat(5_000),
      `${"x".repeat(5_000)}y`,
    ];
    const ask = async (name: string) => (await fetch(`${origin}/?user=${encodeURIComponent(name)}`)).status;
    for (const name of names) expect([name, await ask(name), await ask(name)]).toEqual([name, 200, 429]);
    expect(await redis.ask("GET", "witness")).toBe("here");
    const keys = (await redis.ask("KEYS", "perch:limit:all:user:1:3600000:1:*")) as string[];
    expect(keys).toHaveLength(names.length);
    expect(Math.max(...keys.map((key) => key.length))).toBeLessThan(150);
    expect(await metric(fallbacks)).toBe(0);
  });

  it.each([
    ["a list", ["RPUSH", "KEY", "x"]],
    ["a text that is no time", ["SET", "KEY", "soon"]],
    ["a time in the far future", ["SET", "KEY", "99999999999 1e300"]],
    ["a time that is no number", ["SET", "KEY", "1 nan"]],
  ])("a key that holds %s does not stop the count", async (_what, command) => {
    const redis = await RedisServer.start();
    const stable = await upstream("stable");
    const { origin, metric } = await perch(
      limited(stable.origin, { limit: "requests: 2, per: 100ms", redis, shared: "timeout: 1s" }),
    );
    const key = "perch:limit:all::2:100:2:127.0.0.1";
    await redis.ask(...command.map((part) => (part === "KEY" ? key : part)));
    await expect.poll(async () => (await statuses([origin], 1))[200], { interval: 5 }).toBe(1);
    expect(await metric(fallbacks)).toBe(0);
    expect(await metric(connections(redis))).toBe(1);
  });

  it("speaks TLS and signs in with a password that is in a file", async () => {
    const tls = ["--tls-cert-file", certFile("shop"), "--tls-key-file", keyFile("shop"), "--tls-ca-cert-file"];
    const redis = await RedisServer.start(
      ...userOf("perch", "~perch:*", "+eval", "+evalsha", "+get", "+set", "+time", "+select"),
    );
    const file = join(await temporaryFolder(), "password");
    await writeFile(file, "open-sesame\n");
    const stable = await upstream("stable");
    const secure = await RedisServer.startTls(
      ...tls,
      certFile("authority"),
      "--tls-auth-clients",
      "no",
      ...userOf("perch", "~perch:*", "+eval", "+evalsha", "+get", "+set", "+time", "+select"),
    );
    const yaml = (url: string, more: string) =>
      shopYaml({
        stable: stable.origin,
        route: `rateLimit: { requests: 5, per: 1h, shared: { redis: "${url}", passwordFile: ${file}, timeout: 1s, ${more} } }`,
      });
    for (const [url, more] of [
      [`redis://perch@127.0.0.1:${redis.port}/3`, ""],
      [`rediss://perch@localhost:${secure.port}`, `ca: ${certFile("authority")}`],
    ] as const) {
      const { origin, metric } = await perch(yaml(url, more));
      expect(await statuses([origin], 10)).toEqual({ 200: 5, 429: 5 });
      expect(await metric(fallbacks)).toBe(0);
    }
  });

  it.each([
    ["a wrong password", "redis", "WRONGPASS"],
    ["a user who may not write", "reader", "can't run this command"],
  ])("with %s the limit of one process holds, and the log says why", async (_what, user, why) => {
    const redis = await RedisServer.start(
      ...["--user", "redis", "on", ">something-else", "~*", "+@all"],
      ...userOf("reader", "~*", "+@all", "-set"),
    );
    const file = join(await temporaryFolder(), "password");
    await writeFile(file, "open-sesame\n");
    const stable = await upstream("stable");
    const url = `redis://${user}@127.0.0.1:${redis.port}`;
    const lonely = await servePerch(
      shopYaml({
        stable: stable.origin,
        route: `rateLimit: { requests: 5, per: 1h, shared: { redis: "${url}", passwordFile: ${file}, timeout: 1s } }`,
      }),
    );
    expect(await statuses([lonely.origin], 10)).toEqual({ 200: 5, 429: 5 });
    expect(await lonely.metric(fallbacks)).toBe(5);
    expect(lonely.process.stderr).toContain(why);
    expect(lonely.process.stderr).not.toContain("open-sesame");
  });

  it("a certificate of another authority is refused", async () => {
    const secure = await RedisServer.startTls(
      ...["--tls-cert-file", certFile("shop"), "--tls-key-file", keyFile("shop")],
      ...["--tls-ca-cert-file", certFile("authority"), "--tls-auth-clients", "no"],
    );
    const stable = await upstream("stable");
    const url = `rediss://localhost:${secure.port}`;
    const { origin, metric } = await perch(
      shopYaml({
        stable: stable.origin,
        route: `rateLimit: { requests: 5, per: 1h, shared: { redis: "${url}", ca: ${certFile("other-authority")} } }`,
      }),
    );
    expect(await statuses([origin], 10)).toEqual({ 200: 5, 429: 5 });
    expect(await metric(`perch_redis_connections{redis="localhost:${secure.port}"}`)).toBe(0);
  });

  it("a reload keeps the connection and the counts, and closes it once no route needs it", async () => {
    const redis = await RedisServer.start();
    const stable = await upstream("stable");
    const yaml = (more: string) =>
      limited(stable.origin, { limit: "requests: 5, per: 1h", redis, shared: "timeout: 1s", more });
    const reloading = await served(yaml(""), redis);
    const clients = async () => {
      const list = String(await redis.ask("CLIENT", "LIST"))
        .trim()
        .split("\n");
      return list.filter((line) => line.includes("cmd=eval")).map((line) => /^id=(\d+)/.exec(line)?.[1]);
    };
    expect(await statuses([reloading.origin], 3)).toEqual({ 200: 3 });
    const before = await clients();
    expect(before).toHaveLength(1);
    const reloads = () => reloading.metric('perch_config_reloads_total{result="success"}');
    await reloading.write(yaml("exposeVersion: true"));
    await expect.poll(reloads, soon).toBe(1);
    expect(await statuses([reloading.origin], 3)).toEqual({ 200: 2, 429: 1 });
    expect(await clients()).toEqual(before);
    await reloading.write(shopYaml({ stable: stable.origin }));
    await expect.poll(reloads, soon).toBe(2);
    await expect.poll(clients, soon).toEqual([]);
    expect(await reloading.metric(connections(redis))).toBe(undefined);
    await reloading.write(yaml(""));
    await expect.poll(() => reloading.metric(connections(redis)), soon).toBe(1);
    reloading.process.signal("SIGTERM");
    expect(await reloading.process.exited).toBe(0);
    expect(await clients()).toEqual([]);
  });

  it("limits WebSockets, of which no early byte is lost, and HTTP/2", async () => {
    const redis = await RedisServer.start();
    let echoed = 0;
    const echo = await rawUpstream((socket, received) => {
      const body = received.slice(received.indexOf("\r\n\r\n") + 4);
      socket.write((socket.bytesWritten === 0 ? switchedHead() : "") + body.slice(echoed), "latin1");
      echoed = body.length;
    });
    const limit = "requests: 1, per: 1h";
    const { port } = await connected(limited(echo.origin, { limit, redis, shared: "timeout: 1s" }), redis);
    await redis.ask("CLIENT", "PAUSE", "200", "ALL");
    const client = await rawClient(port);
    client.send(`${upgradeHead()}early`);
    await delay(50);
    client.send(`${"more ".repeat(50_000)}and late`);
    expect(await client.read((received) => received.endsWith("and late"))).toMatch(/^HTTP\/1\.1 101 /);
    expect(client.received.slice(client.received.indexOf("early"))).toBe(`early${"more ".repeat(50_000)}and late`);
    expect(statusesIn(await exchange(port, upgradeHead()))).toEqual(["429"]);

    const stable = await upstream("stable");
    const listeners = `{ name: web, address: "127.0.0.1:0", h2c: true }`;
    const { origin } = await perch(
      limited(stable.origin, { limit: "requests: 2, per: 1h", redis, shared: "timeout: 1s" }),
      { listeners },
    );
    const h2 = new H2Client(origin);
    const answers = await Promise.all([h2.get({ body: "one", method: "POST" }), h2.get(), h2.get()]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(stable.seen.map(({ body }) => body).sort()).toEqual(["", "one"]);
  });
});
