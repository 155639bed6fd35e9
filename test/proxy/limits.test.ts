import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { perch, rawClient, upstream } from "../kit/freed.ts";
import { lanes, requestsInFlight, shopYaml } from "../kit/one-service.ts";

const series = (name: string, more = "") => `${name}{service="shop",version="stable"${more}}`;
const pending = series("perch_requests_pending");
const overloads = (cause: string) => series("perch_overloads_total", `,cause="${cause}"`);

/** An upstream whose responses the test releases by their paths. */
async function holding() {
  const held = new Map<string, ServerResponse>();
  const server = await upstream("stable", ({ url = "" }, response) => void held.set(url, response));
  const letGo = (path: string) => held.get(path)?.end(`for ${path}`);
  const arrived = (path: string) => expect.poll(() => held.has(path)).toBe(true);
  return { server, held, letGo, arrived };
}

describe.each(lanes)("limits of a version, in the $lane lane", ({ fastLane }) => {
  const perchTo = (stable: readonly string[], limits: string) =>
    perch(shopYaml({ stable, service: `limits: ${limits}`, more: `fastLane: ${fastLane}` }));

  async function ask(port: number, path: string, more = "") {
    const client = await rawClient(port);
    client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`);
    return { client, answer: client.read((received) => /\r\n\r\n[\s\S]*(for \/\w+|overloaded)/.test(received)) };
  }

  it("requests over maxInFlight are queued, those over maxPending get 503 at once, and all are counted", async () => {
    const { server, held, letGo, arrived } = await holding();
    const { port, metric } = await perchTo([server.origin], "{ maxInFlight: 1, maxPending: 2, pendingTimeout: 1m }");
    const a = await ask(port, "/a");
    await arrived("/a");
    const b = await ask(port, "/b");
    await expect.poll(() => metric(pending)).toBe(1);
    const c = await ask(port, "/c");
    await expect.poll(() => metric(pending)).toBe(2);
    const shed = await (await ask(port, "/d")).answer;
    expect(shed).toMatch(/^HTTP\/1\.1 503 [\s\S]*x-perch-error: overloaded\r\n[\s\S]*Retry-After: 1\r\n/);
    expect([await metric(requestsInFlight), await metric(overloads("queue-full"))]).toEqual([1, 1]);
    letGo("/a");
    expect(await a.answer).toContain("for /a");
    await arrived("/b");
    expect(held.has("/c")).toBe(false);
    letGo("/b");
    expect(await b.answer).toContain("for /b");
    await arrived("/c");
    letGo("/c");
    expect(await c.answer).toContain("for /c");
    await expect.poll(() => metric(requestsInFlight)).toBe(0);
    expect(await metric(pending)).toBe(0);
    expect(server.seen.map(({ url }) => url)).toEqual(["/a", "/b", "/c"]);
  });

  it("a request that waits for pendingTimeout gets 503", async () => {
    const { server, letGo, arrived } = await holding();
    const { port, metric } = await perchTo([server.origin], "{ maxInFlight: 1, pendingTimeout: 50ms }");
    const first = await ask(port, "/a");
    await arrived("/a");
    const second = await ask(port, "/b");
    expect(await second.answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*x-perch-error: overloaded\r\n/);
    expect(await metric(overloads("queue-timeout"))).toBe(1);
    letGo("/a");
    expect(await first.answer).toContain("for /a");
    second.client.received = "";
    second.client.send("GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    await arrived("/c");
    letGo("/c");
    expect(await second.client.read((received) => received.includes("for /c"))).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("a client that leaves gives up its place in the queue, and its permit", async () => {
    const { server, held, letGo, arrived } = await holding();
    const { port, metric } = await perchTo([server.origin], "{ maxInFlight: 1, pendingTimeout: 1m }");
    const first = await ask(port, "/a");
    await arrived("/a");
    const second = await ask(port, "/b");
    await expect.poll(() => metric(pending)).toBe(1);
    const third = await ask(port, "/c");
    await expect.poll(() => metric(pending)).toBe(2);
    second.client.close();
    await expect.poll(() => metric(pending)).toBe(1);
    first.client.close();
    await arrived("/c");
    letGo("/c");
    expect(await third.answer).toContain("for /c");
    expect(held.has("/b")).toBe(false);
    await expect.poll(() => metric(requestsInFlight)).toBe(0);
  });

  it("a body waits with its request, and arrives whole", async () => {
    const { server, letGo, arrived } = await holding();
    const { port, metric } = await perchTo([server.origin], "{ maxInFlight: 1, pendingTimeout: 1m }");
    await ask(port, "/a");
    await arrived("/a");
    const body = "x".repeat(300_000);
    const upload = fetch(`http://127.0.0.1:${port}/b`, { method: "POST", body });
    await expect.poll(() => metric(pending)).toBe(1);
    letGo("/a");
    await arrived("/b");
    letGo("/b");
    expect((await upload).status).toBe(200);
    expect(server.seen.at(-1)?.body).toBe(body);
  });

  it("an endpoint gets no more than maxConnections, and others are used meanwhile", async () => {
    const one = await holding();
    const other = await holding();
    const { port, metric } = await perchTo([one.server.origin, other.server.origin], "{ maxConnections: 2 }");
    const paths = ["/a", "/b", "/c", "/d", "/e", "/f"];
    const asked = await Promise.all(paths.map((path) => ask(port, path)));
    await expect.poll(() => [one.held.size, other.held.size]).toEqual([2, 2]);
    expect(await metric(pending)).toBe(2);
    const letGoAll = () => {
      for (const { held, letGo } of [one, other]) for (const path of held.keys()) letGo(path);
      return one.held.size + other.held.size;
    };
    await expect.poll(letGoAll).toBe(6);
    for (const { answer } of asked) expect(await answer).toMatch(/^HTTP\/1\.1 200 /);
    expect([one.server.connections, other.server.connections]).toEqual([2, 2]);
  });

  it("a WebSocket waits in the queue as a request does", async () => {
    const stable = await upstream("stable");
    const { port, metric } = await perchTo([stable.origin], "{ maxInFlight: 1, pendingTimeout: 1m }");
    const { server, arrived } = await holding();
    const held = await perchTo([server.origin], "{ maxInFlight: 1, pendingTimeout: 1m }");
    await ask(held.port, "/a");
    await arrived("/a");
    const upgrade = await rawClient(held.port);
    upgrade.send(
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    await expect.poll(() => held.metric(pending)).toBe(1);
    upgrade.close();
    await expect.poll(() => held.metric(pending)).toBe(0);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    expect(await metric(pending)).toBe(0);
  });
});
