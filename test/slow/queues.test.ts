import net from "node:net";
import { describe, expect, it } from "vitest";
import { freeAfterTest, listening, perch, rawClient } from "../kit/freed.ts";
import { H2Client, h2cListener } from "../kit/h2-client.ts";
import { endHeaders, endStream, FrameClient, frame, frameTypes, request } from "../kit/h2-frames.ts";
import { h2Upstream } from "../kit/h2-upstream.ts";
import { shopYaml } from "../kit/one-service.ts";
import { Pouring } from "../kit/pouring.ts";

const poured = Buffer.alloc(64 * 1024 * 1024);
/** Nearly all of it is in the kernel's socket buffers, of which there are four on the way. */
const maxHeldBytes = 28 * 1024 * 1024;
/** So that a source that never began is noticed. */
const minHeldBytes = 16 * 1024;

/** Resolves to the number of bytes that left their source before it stalled. */
async function heldBytes(source: Promise<Pouring>): Promise<number> {
  return poured.length - (await (await source).stalled());
}

/** An upstream that pours a response, or one that never reads. */
async function upstreamOf(protocol: "http1" | "http2", what: "pours" | "does not read") {
  const { promise, resolve } = Promise.withResolvers<Pouring>();
  if (protocol === "http2") {
    const { origin } = await h2Upstream((stream) => {
      if (what === "does not read") return;
      stream.respond({ ":status": 200 });
      resolve(new Pouring(stream, poured));
    });
    return { origin, pouring: promise };
  }
  const server = net.createServer((socket) => {
    freeAfterTest(async () => socket.destroy());
    socket.on("error", () => {}).pause();
    if (what === "does not read") return;
    socket.once("readable", () => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n");
      resolve(new Pouring(socket, poured));
    });
  });
  return { origin: `http://127.0.0.1:${await listening(server)}`, pouring: promise };
}

/** Sends a request over a connection that is never read. HTTP/2: with windows that flow control never exhausts. */
async function unreadClient(client: string, port: number): Promise<void> {
  if (client !== "HTTP/2") {
    const raw = await rawClient(port);
    raw.socket.pause();
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    return;
  }
  const frames = await FrameClient.connect(port);
  await frames.frame(frameTypes.settings, 0);
  frames.socket.pause();
  frames.send(
    frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff])),
    frame(frameTypes.windowUpdate, 0, 0, Buffer.from([0x7f, 0, 0, 0])),
    frame(frameTypes.headers, endHeaders | endStream, 1, request()),
  );
}

async function uploadingClient(client: string, { port, origin }: { port: number; origin: string }): Promise<Pouring> {
  if (client === "HTTP/2") return new Pouring(new H2Client(origin).stream({ method: "POST", open: true }), poured);
  const raw = await rawClient(port);
  raw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n");
  return new Pouring(raw.socket, poured);
}

const pairs = (["HTTP/1.1, fast lane", "HTTP/1.1, standard lane", "HTTP/2"] as const).flatMap((client) =>
  (["http1", "http2"] as const).map((protocol) => ({ client, protocol })),
);

describe.each(pairs)("client $client, upstream $protocol", ({ client, protocol }) => {
  const start = (origin: string) => {
    const more = client === "HTTP/1.1, standard lane" ? "fastLane: off" : "";
    return perch(shopYaml({ stable: origin, service: `protocol: ${protocol}`, more }), { listeners: h2cListener });
  };

  it("a response stops at its source while the client does not read", async () => {
    const { origin, pouring } = await upstreamOf(protocol, "pours");
    await unreadClient(client, (await start(origin)).port);
    const held = await heldBytes(pouring);
    expect([held > minHeldBytes, held < maxHeldBytes]).toEqual([true, true]);
  });

  it("an upload stops at its source while the upstream does not read", async () => {
    const { origin } = await upstreamOf(protocol, "does not read");
    const held = await heldBytes(uploadingClient(client, await start(origin)));
    expect([held > minHeldBytes, held < maxHeldBytes]).toEqual([true, true]);
  });
});
