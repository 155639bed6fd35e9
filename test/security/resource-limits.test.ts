import type { ServerResponse } from "node:http";
import net from "node:net";
import { describe, expect, it } from "vitest";
import { turn } from "../kit/bell.ts";
import { perch, rawClient, upstream } from "../kit/freed.ts";
import { lanes } from "../kit/one-service.ts";

const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
const open = 'perch_connections{listener="web"}';
const refused = (cause: string) => `perch_connections_refused_total{listener="web",cause="${cause}"}`;
const shed = (cause: string) => `perch_requests_shed_total{cause="${cause}"}`;

/**
 * Everything received on a connection that Perch refuses, which may be reset before it is established at the client.
 */
function closedUnread(port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let received = "";
  const socket = net.connect(port, "127.0.0.1");
  socket.on("data", (bytes) => {
    received += bytes;
  });
  socket.on("error", () => {}).on("close", () => resolve(received));
  return promise;
}

describe.each(lanes)("resource limits in the $lane lane", ({ fastLane }) => {
  const perchTo = (origin: string, limits: string, more = "") =>
    perch(`
fastLane: ${fastLane}
limits: ${limits}
services: { shop: { versions: { stable: { endpoints: [${origin}] } } } }
routes: [{ name: all, service: shop }]
${more}`);

  async function ask(port: number, bytes: string): Promise<string> {
    const client = await rawClient(port);
    client.send(bytes);
    return client.read((received) => /\r\n\r\n[\s\S]+/.test(received));
  }

  it.each([
    ["a target of the largest size", get(`/${"a".repeat(63)}`), 200, ""],
    ["a target over it", get(`/${"a".repeat(64)}`), 414, "uri-too-long"],
    ["a query over it", get(`/?${"a".repeat(64)}`), 414, "uri-too-long"],
    ["an upgrade over it", get(`/${"a".repeat(64)}`, "Connection: Upgrade\r\nUpgrade: websocket\r\n"), 414, "uri"],
    ["the maximum number of cookies", get("/", "Cookie: a=1; b=2\r\nCookie: c=3\r\n"), 200, ""],
    ["one cookie more", get("/", "Cookie: a=1; b=2\r\nCookie: c=3; d=4\r\n"), 431, "headers-too-large"],
    ["empty cookies", get("/", "Cookie: ;;;;;;;;;;;;\r\n"), 431, "headers-too-large"],
  ])("%s", async (_sentence, bytes, status, code) => {
    const stable = await upstream("stable");
    const { port } = await perchTo(stable.origin, "{ uri: 64, cookies: 3 }");
    const answer = await ask(port, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*${code && `x-perch-error: ${code}`}`));
    expect(stable.seen.length).toBe(status === 200 ? 1 : 0);
  });

  it("requests per connection: the last response has Connection: close, and nothing after it is processed", async () => {
    const stable = await upstream("stable");
    const { port } = await perchTo(stable.origin, "{ requestsPerConnection: 3 }");
    const client = await rawClient(port);
    client.send(get("/1") + get("/2") + get("/3") + get("/4"));
    const answers = (await client.read()).split("HTTP/1.1 200 OK").slice(1);
    expect(answers.map((answer) => /connection: ([\w-]+)/i.exec(answer)?.[1])).toEqual([
      "keep-alive",
      "keep-alive",
      "close",
    ]);
    expect(stable.seen.map(({ url }) => url)).toEqual(["/1", "/2", "/3"]);
  });

  it("requests per connection are counted over both lanes", async () => {
    const stable = await upstream("stable");
    const { port } = await perchTo(stable.origin, "{ requestsPerConnection: 3 }");
    const client = await rawClient(port);
    for (const [path, more] of [
      ["/1", ""],
      ["/2", "Expect: 100-continue\r\n"],
      ["/3", ""],
    ] as const) {
      client.received = "";
      client.send(get(path, more));
      await client.read((received) => received.includes("\r\n\r\nstable") || received.endsWith("0\r\n\r\n"));
    }
    expect(client.received).toMatch(/\r\nConnection: close\r\n/i);
  });

  it("connections over the listener's limit are reset and counted, and closed ones make room", async () => {
    const stable = await upstream("stable");
    const { port, metric } = await perchTo(stable.origin, "{ connections: 2 }");
    const first = await rawClient(port);
    const second = await rawClient(port);
    first.send(get("/1"));
    second.send(get("/2", "Expect: 100-continue\r\n"));
    await first.read((received) => received.includes("200 OK"));
    await second.read((received) => received.includes("200 OK"));
    expect(await metric(open)).toBe(2);
    expect(await closedUnread(port)).toBe("");
    expect([await metric(refused("connections")), await metric(open)]).toEqual([1, 2]);
    first.close();
    await expect.poll(() => metric(open)).toBe(1);
    second.close();
    await expect.poll(() => metric(open)).toBe(0);
    expect(await ask(port, get("/4"))).toContain("200 OK");
  });

  it("connections over the limit per address are reset and counted", async () => {
    const stable = await upstream("stable");
    const { port, metric } = await perchTo(stable.origin, "{ connectionsPerAddress: 1 }");
    const first = await rawClient(port);
    first.send(get("/1"));
    await first.read((received) => received.includes("200 OK"));
    expect(await closedUnread(port)).toBe("");
    expect([await metric(refused("address")), await metric(open)]).toEqual([1, 1]);
    first.close();
    await expect.poll(() => metric(open)).toBe(0);
    expect(await ask(port, get("/3"))).toContain("200 OK");
  });

  it("a trusted proxy is exempt from the limit per address, and the clients in its PROXY headers are not", async () => {
    const stable = await upstream("stable");
    const { port } = await perchTo(stable.origin, "{ connectionsPerAddress: 1 }", "trustedProxies: [127.0.0.1]");
    const clients = await Promise.all([rawClient(port), rawClient(port)]);
    for (const client of clients) client.send(get("/"));
    for (const client of clients) expect(await client.read((got) => got.includes("200 OK"))).toContain("200 OK");

    const listener = `{ name: web, address: "127.0.0.1:0", proxyProtocol: true }`;
    const behind = await perch(
      `
fastLane: ${fastLane}
limits: { connectionsPerAddress: 1 }
trustedProxies: [127.0.0.1]
services: { shop: { versions: { stable: { endpoints: [${stable.origin}] } } } }
routes: [{ name: all, service: shop }]`,
      { listeners: listener },
    );
    const from = (address: string) => `PROXY TCP6 ${address} 2001:db8::9 1000 80\r\n${get("/")}`;
    const one = await rawClient(behind.port);
    one.send(from("2001:db8:1:2::3"));
    expect(await one.read((got) => got.includes("200 OK"))).toContain("200 OK");
    expect(await ask(behind.port, from("2001:db8:1:3::3"))).toContain("200 OK");
    const same = await rawClient(behind.port);
    same.send(from("2001:db8:1:2:ffff::1"));
    expect(await same.read()).toBe("");
    expect(await behind.metric(refused("address"))).toBe(1);
  });

  it("requests over the limit in flight are shed with Retry-After, while the admin server and probes answer", async () => {
    const held: ServerResponse[] = [];
    const slow = await upstream("stable", (_request, response) => void held.push(response));
    const { port, metric, admin } = await perchTo(slow.origin, "{ inFlight: 1 }");
    const first = await rawClient(port);
    first.send(get("/1"));
    await expect.poll(() => held.length).toBe(1);
    const second = await rawClient(port);
    second.send(get("/2"));
    const answer = await second.read((received) => /\r\n\r\n[\s\S]+/.test(received));
    expect(answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*x-perch-error: overloaded\r\n[\s\S]*Retry-After: 1\r\n/);
    expect([await metric(shed("in-flight")), (await admin("/livez")).status, (await admin("/readyz")).status]).toEqual([
      1, 200, 200,
    ]);
    held[0]?.end("held");
    await first.read((received) => received.includes("held"));
    second.received = "";
    second.send(get("/3"));
    await expect.poll(() => held.length).toBe(2);
    held[1]?.end("held");
    expect(await second.read((received) => received.includes("held"))).toContain("200 OK");
  });

  it("a delayed event loop sheds requests until the delay is over", { tags: ["slow"] }, async () => {
    const stable = await upstream("stable");
    const { port, metric } = await perchTo(stable.origin, "{ loopDelay: 300ms }");
    const client = await rawClient(port);
    const once = async () => {
      client.received = "";
      client.send(get("/"));
      return (await client.read((received) => /\r\n\r\n[\s\S]+/.test(received))).slice(9, 12);
    };
    await expect.poll(once, { timeout: 15_000, interval: 50 }).toBe("200");
    const statuses = new Set<string>();
    // Perch runs in this process, so a busy loop here delays it.
    while (!statuses.has("503")) {
      const endMs = performance.now() + 1_500;
      while (performance.now() < endMs);
      await turn();
      statuses.add(await once());
    }
    expect(await metric(shed("loop-delay"))).toBeGreaterThan(0);
    await expect.poll(once, { timeout: 15_000, interval: 50 }).toBe("200");
  });
});
