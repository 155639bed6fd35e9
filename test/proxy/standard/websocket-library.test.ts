/** @module-tag slow */
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { type ServerOptions, WebSocket, WebSocketServer } from "ws";
import { freeAfterTest, perch } from "../../kit/freed.ts";
import { lanes, shopAt } from "../../kit/one-service.ts";
import { certificateYaml, certPem } from "../../kit/pki.ts";

/** An upstream of the ws library that sends every message back, and the close codes of its connections. */
async function echoServer(options: ServerOptions = {}) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", ...options });
  const closes: (readonly [number, string])[] = [];
  server.on("connection", (socket) => {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
    socket.on("close", (code, reason) => closes.push([code, String(reason)]));
  });
  await once(server, "listening");
  freeAfterTest(async () => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return { server, closes, port: (server.address() as { port: number }).port };
}

const listeners = { tls: `tls: { certificates: [${certificateYaml("shop")}] }`, plain: "h2c: true" };

/** A function that opens WebSockets through Perch. */
async function through(port: number, fastLane: string, way: "plain" | "tls" = "plain") {
  const yaml = shopAt(`http://127.0.0.1:${port}`, `fastLane: ${fastLane}`);
  const started = await perch(yaml, { listeners: `{ name: web, address: "127.0.0.1:0", ${listeners[way]} }` });
  const options = way === "tls" ? { ca: certPem("authority"), servername: "shop.example" } : {};
  return async (protocols: string[] = [], more = {}) => {
    const client = new WebSocket(`${way === "tls" ? "wss" : "ws"}://127.0.0.1:${started.port}/`, protocols, {
      ...options,
      ...more,
    });
    freeAfterTest(async () => client.terminate());
    await once(client, "open");
    return client;
  };
}

describe.each(lanes)("a WebSocket of the ws library, with the fast lane $fastLane", ({ fastLane }) => {
  it("agrees on a subprotocol and on compression", async () => {
    const { port } = await echoServer({
      perMessageDeflate: true,
      handleProtocols: (offered) => (offered.has("chat.v2") ? "chat.v2" : false),
    });
    const open = await through(port, fastLane);
    const client = await open(["chat.v1", "chat.v2"], { perMessageDeflate: true });
    expect([client.protocol, client.extensions]).toEqual(["chat.v2", "permessage-deflate"]);
    client.send("squeezed ".repeat(1_000));
    expect(String((await once(client, "message"))[0])).toBe("squeezed ".repeat(1_000));
  });

  it("carries text and binary messages of any size, in order", async () => {
    const { port } = await echoServer();
    const client = await (await through(port, fastLane))();
    const large = Buffer.alloc(5 * 1024 * 1024, "0123456789abcdef");
    client.send("first");
    client.send(large);
    client.send("");
    const received: [Buffer, boolean][] = [];
    client.on("message", (data: Buffer, binary) => received.push([data, binary]));
    await expect.poll(() => received.length, { timeout: 10_000 }).toBe(3);
    expect(received.map(([data, binary]) => [data.length, binary])).toEqual([
      [5, false],
      [large.length, true],
      [0, false],
    ]);
    expect(received[1]?.[0].equals(large)).toBe(true);
  });

  it.each<[string, (client: WebSocket) => void, number, string]>([
    ["the usual one", (client) => client.close(1000, "done"), 1000, "done"],
    ["one of an application", (client) => client.close(4321, "reason"), 4321, "reason"],
    ["none", (client) => client.close(), 1005, ""],
    ["no close at all", (client) => client.terminate(), 1006, ""],
  ])("has the client's close code at the upstream: %s", async (_what, close, code, reason) => {
    const { port, closes } = await echoServer();
    const client = await (await through(port, fastLane))();
    close(client);
    await expect.poll(() => closes).toEqual([[code, reason]]);
  });

  it("has the upstream's close code at the client", async () => {
    const { port, server } = await echoServer();
    const client = await (await through(port, fastLane))();
    for (const socket of server.clients) socket.close(1012, "restart");
    const [code, reason] = await once(client, "close");
    expect([code, String(reason)]).toEqual([1012, "restart"]);
  });

  it("carries pings and pongs both ways", async () => {
    const { port, server } = await echoServer();
    const client = await (await through(port, fastLane))();
    client.ping("from the client");
    expect(String((await once(client, "pong"))[0])).toBe("from the client");
    const [socket] = server.clients;
    socket?.ping("from the upstream");
    expect(String((await once(socket ?? client, "pong"))[0])).toBe("from the upstream");
  });

  it("may come over TLS, beside HTTP/2", async () => {
    const { port, closes } = await echoServer();
    const client = await (await through(port, fastLane, "tls"))(["chat"]);
    client.send("secret");
    expect(String((await once(client, "message"))[0])).toBe("secret");
    client.close(1000);
    await expect.poll(() => closes).toEqual([[1000, ""]]);
  });
});
