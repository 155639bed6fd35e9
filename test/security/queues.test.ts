/** @module-tag slow */
import net, { type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { maxInterimResponses } from "../../src/proxy/interim-responses.ts";
import { freeAfterTest, listening, perch, rawClient } from "../kit/freed.ts";
import { h2cListener } from "../kit/h2-client.ts";
import { endHeaders, endStream, FrameClient, fieldBlock, frame, frameTypes, request } from "../kit/h2-frames.ts";
import { shopYaml, upstreamErrors } from "../kit/one-service.ts";
import { upgradeHead } from "../kit/websocket.ts";

const { headers, settings, ping, reset, data } = frameTypes;
const link = `<${"/a".repeat(1_000)}>`;

/** The frame head of a request without a body on stream 1. */
const http2Request = Buffer.from([headers, endHeaders | endStream, 0, 0, 0, 1]);

/**
 * An upstream that sends `first` when it is connected, and these bytes again and again once it has received `request`,
 * for as long as its connection is open.
 */
async function floodingUpstream(bytes: Buffer, first: string, request: Buffer) {
  const sockets: Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    freeAfterTest(async () => socket.destroy());
    socket.on("error", () => {});
    const many = Buffer.concat(Array.from({ length: Math.ceil(64_000 / bytes.length) }, () => bytes));
    const pour = () => {
      while (socket.writable && socket.write(many));
    };
    socket.write(first, "latin1");
    let received = Buffer.alloc(0);
    socket.on("drain", pour).on("data", (chunk: Buffer) => {
      const before = received.includes(request);
      received = Buffer.concat([received, chunk]);
      if (!before && received.includes(request)) pour();
    });
  });
  const origin = `http://127.0.0.1:${await listening(server)}`;
  /** Resolves once the upstream has no open connection. */
  const closed = () => expect.poll(() => sockets.length > 0 && sockets.every(({ destroyed }) => destroyed)).toBe(true);
  return { origin, closed };
}

const interim = {
  "HTTP/1.1 102": { protocol: "http1", bytes: Buffer.from("HTTP/1.1 102 Processing\r\n\r\n"), first: "" },
  "HTTP/1.1 103": {
    protocol: "http1",
    bytes: Buffer.from(`HTTP/1.1 103 Early Hints\r\nLink: ${link}\r\n\r\n`),
    first: "",
  },
  "HTTP/1.1 100": { protocol: "http1", bytes: Buffer.from("HTTP/1.1 100 Continue\r\n\r\n"), first: "" },
  "HTTP/2 103": {
    protocol: "http2",
    bytes: frame(headers, endHeaders, 1, fieldBlock([":status", "103", "link", link])),
    first: frame(settings, 0, 0).toString("latin1"),
  },
} as const;

/** The connection of a client that has sent one request and reads nothing. */
async function unreadClient(client: "HTTP/1.1" | "HTTP/2" | "WebSocket", port: number): Promise<Socket> {
  if (client === "HTTP/2") {
    const frames = await FrameClient.connect(port);
    await frames.frame(settings, 0);
    frames.socket.pause();
    frames.send(frame(headers, endHeaders | endStream, 1, request()));
    return frames.socket;
  }
  const raw = await rawClient(port);
  raw.socket.pause();
  raw.send(client === "WebSocket" ? upgradeHead() : "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  return raw.socket;
}

const pairs = (["HTTP/1.1", "HTTP/2", "WebSocket"] as const).flatMap((client) =>
  (Object.keys(interim) as (keyof typeof interim)[])
    .filter((flood) => client !== "WebSocket" || !flood.startsWith("HTTP/2"))
    .map((flood) => ({ client, flood })),
);

describe("interim responses without end", () => {
  it.each(pairs)(
    "$flood, client $client that does not read: the upstream's connection closes",
    async ({ client, flood }) => {
      const { protocol, bytes, first } = interim[flood];
      const upstream = await floodingUpstream(bytes, first, protocol === "http2" ? http2Request : Buffer.from("GET "));
      const yaml = shopYaml({ stable: upstream.origin, service: `protocol: ${protocol}`, more: "fastLane: off" });
      const { port, metric } = await perch(yaml, { listeners: h2cListener });
      const socket = await unreadClient(client, port);
      await upstream.closed();
      expect(await metric(upstreamErrors("upstream-malformed"))).toBe(1);
      let received = 0;
      socket.on("data", (chunk: Buffer | string) => {
        received += chunk.length;
      });
      socket.resume();
      await expect.poll(() => received).toBeGreaterThan(0);
      expect(received).toBeLessThan((maxInterimResponses + 1) * (link.length + 100));
    },
  );
});

describe("control frames without end from an HTTP/2 upstream that does not read", () => {
  it.each([
    ["PING", frame(ping, 0, 0, Buffer.alloc(8))],
    ["SETTINGS", frame(settings, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0]))],
    ["RST_STREAM", frame(reset, 0, 1, Buffer.from([0, 0, 0, 8]))],
    ["empty DATA", frame(data, 0, 1)],
    ["unknown frames", frame(99, 0, 0, Buffer.alloc(100))],
  ])("%s: the request fails", async (_what, bytes) => {
    const upstream = await floodingUpstream(bytes, frame(settings, 0, 0).toString("latin1"), http2Request);
    const service = "protocol: http2, timeouts: { responseHeaders: 300ms }";
    const { port } = await perch(shopYaml({ stable: upstream.origin, service }));
    const client = await rawClient(port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(await client.read()).toMatch(/^HTTP\/1\.1 50[234] [\s\S]*x-perch-error: /);
  });
});
