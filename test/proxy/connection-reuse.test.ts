/** @module-tag slow */
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { listening, perch, rawClient, rawUpstream } from "../kit/freed.ts";
import { h2Upstream } from "../kit/h2-upstream.ts";
import { lanes, shopYaml } from "../kit/one-service.ts";
import type { TestPerch } from "../kit/perch.ts";
import type { RawClient } from "../kit/raw-client.ts";
import { changeablePerch, freePorts } from "../kit/served.ts";

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
const post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na";
const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/** An upstream that answers each request with these bytes, and the `connection` of each. */
async function answering(answer: string) {
  const connections: string[] = [];
  const stable = await rawUpstream((socket: Socket, received) => {
    socket.setNoDelay(true);
    connections.push(/\r\nconnection: ([a-z-]+)\r\n(?![\s\S]*\r\nconnection: )/i.exec(received)?.[1] ?? "none");
    socket.write(answer);
  });
  return { stable, connections };
}

async function ask(client: RawClient, request = get): Promise<string> {
  client.received = "";
  client.send(request);
  return client.read((all) => all.endsWith("fine") || all.includes("x-perch-error"));
}

const unsolicited = 'perch_unsolicited_responses_total{service="shop",version="stable"}';

async function singleUseUntil(started: TestPerch): Promise<unknown> {
  const response = await started.admin("/api/endpoints");
  return ((await response.json()) as { endpoints: { singleUseUntil: unknown }[] }).endpoints[0]?.singleUseUntil;
}

describe.each(lanes)("connections to endpoints, in the $lane lane", ({ fastLane }) => {
  const to = (origin: string, service: string) =>
    perch(shopYaml({ stable: origin, service, more: `fastLane: ${fastLane}` }));

  it("timeouts.keepAlive: an idle one closes after it, and a POST later gets a new one", async () => {
    const { stable } = await answering(fine);
    const client = await rawClient((await to(stable.origin, "timeouts: { keepAlive: 50ms }")).port);
    for (const count of [1, 2]) {
      expect(await ask(client, post)).toMatch(/^HTTP\/1\.1 200 /);
      await expect.poll(() => stable.sockets.filter((socket) => socket.destroyed).length).toBe(count);
    }
  });

  it("chunks in HTTP/1.0: the connection is not reused, whatever it says (RFC 9112 §6.1)", async () => {
    const head = "HTTP/1.0 200 OK\r\nConnection: keep-alive, x-named\r\nX-Named: 1\r\nTransfer-Encoding: chunked\r\n";
    const { stable } = await answering(`${head}\r\n4\r\nfine\r\n0\r\n\r\n`);
    const client = await rawClient((await to(stable.origin, "")).port);
    for (const count of [1, 2]) {
      client.received = "";
      client.send(get);
      const answer = await client.read((all) => all.endsWith("0\r\n\r\n"));
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect(answer).not.toContain("X-Named");
      await expect.poll(() => stable.sockets.filter((socket) => socket.destroyed).length).toBe(count);
    }
  });

  it("an announced Keep-Alive that is shorter is kept instead", async () => {
    const { stable } = await answering(fine.replace("\r\n\r\n", "\r\nKeep-Alive: timeout=1\r\n\r\n"));
    const client = await rawClient((await to(stable.origin, "timeouts: { keepAlive: 60s }")).port);
    await ask(client);
    await expect.poll(() => stable.sockets[0]?.destroyed).toBe(true);
  });

  it("limits.maxRequestsPerConnection: each carries so many, and the last one says so", async () => {
    const { stable, connections } = await answering(fine);
    const client = await rawClient((await to(stable.origin, "limits: { maxRequestsPerConnection: 2 }")).port);
    for (let at = 0; at < 5; at++) expect(await ask(client)).toMatch(/^HTTP\/1\.1 200 /);
    expect(stable.sockets).toHaveLength(3);
    expect(connections).toEqual(["keep-alive", "close", "keep-alive", "close", "keep-alive"]);
  });

  it("limits.maxRequestsPerConnection: 0 is no limit", async () => {
    const { stable } = await answering(fine);
    const client = await rawClient((await to(stable.origin, "limits: { maxRequestsPerConnection: 0 }")).port);
    for (let at = 0; at < 5; at++) await ask(client);
    expect(stable.sockets).toHaveLength(1);
  });

  it("limits.maxIdleConnections: no more are kept, and the one used last is reused", async () => {
    const held: Socket[] = [];
    const stable = await rawUpstream((socket) => {
      held.push(socket);
    });
    const started = await to(stable.origin, "limits: { maxIdleConnections: 2 }");
    const clients = [await rawClient(started.port), await rawClient(started.port), await rawClient(started.port)];
    for (const client of clients) client.send(get);
    await expect.poll(() => held.length).toBe(3);
    for (const [at, socket] of held.splice(0).entries()) {
      socket.write(fine);
      await expect.poll(() => clients.filter(({ received }) => received.endsWith("fine")).length).toBe(at + 1);
    }
    await expect.poll(() => stable.sockets.filter((socket) => socket.destroyed).length).toBe(1);
    const [client] = clients;
    client?.send(get);
    await expect.poll(() => held.length).toBe(1);
    held[0]?.write(fine);
    await client?.read((all) => all.match(/fine/g)?.length === 2);
    expect(stable.sockets).toHaveLength(3);
  });

  it("a reload changes how long idle ones are kept", async () => {
    const { stable } = await answering(fine);
    const yaml = (keepAlive: string) =>
      freePorts +
      shopYaml({
        stable: stable.origin,
        service: `timeouts: { keepAlive: ${keepAlive} }`,
        more: `fastLane: ${fastLane}`,
      });
    const started = await changeablePerch(yaml("60s"));
    const client = await rawClient(started.perch.port);
    await ask(client);
    await started.change(yaml("50ms"));
    await ask(client);
    await expect.poll(() => stable.sockets.every((socket) => socket.destroyed)).toBe(true);
  });

  it("bytes that nobody asked for: counted once, and from then on each carries one request", async () => {
    const { stable, connections } = await answering(fine);
    const started = await to(stable.origin, "");
    const client = await rawClient(started.port);
    await ask(client);
    expect(await singleUseUntil(started)).toBe(null);
    stable.sockets[0]?.write(fine);
    await expect.poll(() => started.metric(unsolicited)).toBe(1);
    expect(Date.parse(String(await singleUseUntil(started))) - Date.now()).toBeGreaterThan(590_000);
    for (let at = 0; at < 3; at++) expect(await ask(client)).toMatch(/^HTTP\/1\.1 200 [\s\S]*fine$/);
    expect(connections).toEqual(["keep-alive", "close", "close", "close"]);
    expect(stable.sockets).toHaveLength(4);
    expect(await started.metric(unsolicited)).toBe(1);
  });

  it("idle ones are not reused either, once another one of the endpoint has sent bytes that nobody asked for", async () => {
    const held: Socket[] = [];
    const stable = await rawUpstream((socket) => {
      held.push(socket);
    });
    const started = await to(stable.origin, "");
    const clients = [await rawClient(started.port), await rawClient(started.port)] as const;
    for (const client of clients) client.send(get);
    await expect.poll(() => held.length).toBe(2);
    for (const socket of held.splice(0)) socket.write(fine);
    for (const client of clients) await client.read((all) => all.endsWith("fine"));
    stable.sockets[0]?.write("HTTP/1.1 408 Request Timeout\r\n\r\n");
    await expect.poll(() => started.metric(unsolicited)).toBe(1);
    clients[0].send(get);
    await expect.poll(() => held.length).toBe(1);
    expect(stable.sockets).toHaveLength(3);
    held[0]?.write(fine);
    await clients[0].read((all) => all.match(/fine/g)?.length === 2);
  });

  it.each([
    ["a second response", fine, 1],
    ["more than the length", `${fine}x`, 1],
    ["bytes behind the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\nx", 1],
    ["bytes behind a close, which no request can meet", `${fine.replace("OK", "OK\r\nConnection: close")}x`, 0],
  ])("behind a response, %s: counted %i times", async (name, answer, wanted) => {
    const { stable } = await answering(name === "a second response" ? answer + fine : answer);
    const started = await to(stable.origin, "");
    const client = await rawClient(started.port);
    client.send(get);
    await client.read((all) => all.includes("fine"));
    await expect.poll(() => stable.sockets[0]?.destroyed).toBe(true);
    expect(await started.metric(unsolicited)).toBe(wanted);
  });

  it("bytes behind the responses on connections of one request each prolong it, and count nothing", async () => {
    const { stable } = await answering(`${fine}x`);
    const started = await to(stable.origin, "");
    const client = await rawClient(started.port);
    client.send(get);
    await client.read((all) => all.endsWith("fine"));
    const before = String(await singleUseUntil(started));
    await expect
      .poll(async () => {
        await ask(client);
        return String(await singleUseUntil(started)) > before;
      })
      .toBe(true);
    expect(await started.metric(unsolicited)).toBe(1);
  });

  it("a body of HEAD counts nothing: its connection is not reused", async () => {
    const { stable } = await answering(fine);
    const started = await to(stable.origin, "");
    const client = await rawClient(started.port);
    client.send(get.replace("GET", "HEAD"));
    await client.read((all) => all.endsWith("\r\n\r\n"));
    await expect.poll(() => stable.sockets[0]?.destroyed).toBe(true);
    expect(await started.metric(unsolicited)).toBe(0);
  });
});

describe("requests whose method seldom has a body, with one, in the standard lane", () => {
  const through = async (origin: string) =>
    rawClient((await perch(shopYaml({ stable: origin, more: "fastLane: off" }))).port);
  const chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  const byLength = "Content-Length: 5\r\n\r\nhello";

  it.each([
    ["GET, by length", "GET", byLength],
    ["GET, in chunks", "GET", chunked],
    ["DELETE, by length", "DELETE", byLength],
    ["OPTIONS, in chunks", "OPTIONS", chunked],
  ])("%s: one connection carries them all", async (_name, method, rest) => {
    const bodies: string[] = [];
    const connections = new Set<Socket>();
    const server = createServer(async (request, response) => {
      connections.add(request.socket);
      bodies.push(await text(request));
      response.end("fine");
    });
    const client = await through(`http://127.0.0.1:${await listening(server)}`);
    for (let at = 0; at < 50; at++) await ask(client, `${method} / HTTP/1.1\r\nHost: x\r\n${rest}`);
    expect(bodies).toEqual(Array(50).fill("hello"));
    expect(connections.size).toBe(1);
  });

  it("GET, answered before its body was sent: the connection is not reused", async () => {
    const { stable } = await answering(fine);
    const client = await through(stable.origin);
    client.send("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    await client.read((all) => all.endsWith("fine"));
    await expect.poll(() => stable.sockets[0]?.destroyed).toBe(true);
  });

  it("HEAD: the connection is not reused", async () => {
    const { stable, connections } = await answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    const client = await through(stable.origin);
    client.send(`HEAD / HTTP/1.1\r\nHost: x\r\n${byLength}`);
    await client.read((all) => all.endsWith("\r\n\r\n"));
    await expect.poll(() => stable.sockets[0]?.destroyed).toBe(true);
    expect(connections[0]).toBe("close");
  });
});

it("Keep-Alive: max is heeded in the fast lane", async () => {
  const { stable } = await answering(fine.replace("\r\n\r\n", "\r\nKeep-Alive: timeout=60, max=1\r\n\r\n"));
  const client = await rawClient((await perch(shopYaml({ stable: stable.origin }))).port);
  for (let at = 0; at < 4; at++) await ask(client);
  expect(stable.sockets).toHaveLength(2);
});

describe("HTTP/2 connections to endpoints", () => {
  const to = (origin: string, service: string) =>
    perch(shopYaml({ stable: origin, service: `protocol: http2, ${service}` }));
  const answered = async (started: TestPerch) => expect((await fetch(started.origin)).status).toBe(200);

  it("timeouts.keepAlive: an idle one closes after it", async () => {
    const stable = await h2Upstream();
    await answered(await to(stable.origin, "timeouts: { keepAlive: 50ms }"));
    await expect.poll(() => stable.sessions[0]?.destroyed).toBe(true);
  });

  it("limits.maxRequestsPerConnection: each carries so many, also of those that waited for it", async () => {
    const stable = await h2Upstream();
    const started = await to(stable.origin, "limits: { maxRequestsPerConnection: 2 }");
    await Promise.all([answered(started), answered(started), answered(started)]);
    for (let at = 0; at < 2; at++) await answered(started);
    expect(stable.seen).toHaveLength(5);
    expect(stable.sessions).toHaveLength(3);
  });
});
