import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { readArea } from "../../../src/proxy/fast/arena.ts";
import { takeLargeBuffer } from "../../../src/proxy/fast/read-buffers.ts";
import { SocketReader } from "../../../src/proxy/fast/socket-reader.ts";
import { SocketWriter } from "../../../src/proxy/fast/socket-writer.ts";
import { turn } from "../../kit/bell.ts";
import { freeAfterTest, listening, rawClient, rawUpstream } from "../../kit/freed.ts";
import { collectGarbage } from "../../kit/garbage.ts";
import { shopAt } from "../../kit/one-service.ts";
import { Pouring } from "../../kit/pouring.ts";
import { LaneWithClock } from "./lane-with-clock.ts";

/** A client, and the connection that was accepted from it. */
async function accepted() {
  const server = createServer({ noDelay: true });
  const port = await listening(server);
  const arrived = once(server, "connection");
  const client = await rawClient(port);
  const [socket] = (await arrived) as [Socket];
  // As every owner of a connection does: `close` follows.
  socket.on("error", () => {});
  freeAfterTest(async () => socket.destroy());
  return { client, socket };
}

/** A writer to a client, and the number of times that it called back. */
async function writerToClient() {
  const { client, socket } = await accepted();
  const seen = { flushes: 0 };
  const writer = new SocketWriter(socket, () => {
    seen.flushes++;
  });
  return { client, writer, seen };
}

describe("a socket writer", () => {
  it("sends text with the flush, once; taken by the kernel at once, it is not pending and has no callback", async () => {
    const { client, writer, seen } = await writerToClient();
    writer.addText("a");
    writer.addText("\xe9b");
    writer.flush();
    expect(writer.pending).toBe(false);
    writer.flush();
    expect(await client.read((received) => received.endsWith("b"))).toBe("a\xe9b");
    expect(seen.flushes).toBe(0);
  });

  it("is pending until the client has taken text, and calls back then", async () => {
    const { client, writer, seen } = await writerToClient();
    client.socket.pause();
    let wanted = 0;
    while (!writer.pending) {
      writer.addText("x".repeat(15_000));
      writer.flush();
      wanted += 15_000;
    }
    await turn();
    expect(seen.flushes).toBe(0);
    client.socket.resume();
    await client.read((received) => received.length >= wanted);
    await expect.poll(() => seen.flushes, { timeout: 10_000 }).toBe(1);
    expect(writer.pending).toBe(false);
  });

  it("is pending until the client has taken bytes, and calls back then", async () => {
    const { client, writer, seen } = await writerToClient();
    client.socket.pause();
    const piece = Buffer.alloc(16 * 1024 * 1024, "x");
    writer.passBytes(piece, 0, piece.length);
    await turn();
    expect([writer.pending, seen.flushes]).toEqual([true, 0]);
    client.socket.resume();
    await expect.poll(() => seen.flushes, { timeout: 10_000 }).toBe(1);
    expect(writer.pending).toBe(false);
  });

  it("is broken once its peer is gone", async () => {
    const { client, writer } = await writerToClient();
    expect(writer.broken).toBe(false);
    client.socket.resetAndDestroy();
    await expect
      .poll(() => {
        writer.addText("x");
        writer.flush();
        return writer.broken;
      })
      .toBe(true);
  });

  it("keeps small and large pieces and text in order", async () => {
    const { client, writer } = await writerToClient();
    let wanted = "";
    for (const size of [1, 8_192, 8_193, 100, 60_000, 8_000, 8_000, 8_000, 2]) {
      const piece = Buffer.alloc(size, `${size} `);
      writer.addText(`<${size}>`);
      writer.passBytes(piece, 0, size);
      wanted += `<${size}>${piece.toString("latin1")}`;
    }
    writer.flush();
    await client.read((received) => received.length >= wanted.length);
    expect(client.received === wanted).toBe(true);
  });

  it("sends only what lies between the two positions", async () => {
    const { client, writer } = await writerToClient();
    writer.passBytes(Buffer.from("..small.."), 2, 7);
    writer.passBytes(Buffer.from(`..${"x".repeat(20_000)}..`), 2, 20_002);
    writer.flush();
    const received = await client.read((all) => all.length >= 20_005);
    expect(received === `small${"x".repeat(20_000)}`).toBe(true);
  });

  it("has copied a piece of the shared buffer, which may be overwritten at once, also while the client does not read", async () => {
    const { client, writer } = await writerToClient();
    client.socket.pause();
    let wanted = "";
    for (let at = 0; !writer.pending || at < 300; at++) {
      const letter = String.fromCharCode(0x61 + (at % 26));
      readArea.fill(letter);
      writer.passBytes(readArea, 0, 60_000);
      readArea.fill("!");
      wanted += letter.repeat(60_000);
    }
    client.socket.resume();
    await client.read((received) => received.length >= wanted.length);
    expect(client.received === wanted).toBe(true);
    expect(writer.pending).toBe(false);
  });
});

describe("a write in progress", () => {
  it("keeps its bytes alive, which nobody else may refer to", async () => {
    const { client, writer, seen } = await writerToClient();
    client.socket.pause();
    // The last one waits for the one before it.
    while (!writer.pending) writer.passBytes(large(), 0, largeBytes);
    writer.passBytes(large(), 0, largeBytes);
    await collectGarbage();
    const others = Array.from({ length: 300 }, () => Buffer.allocUnsafeSlow(largeBytes).fill("y"));
    client.socket.resume();
    await expect.poll(() => seen.flushes, { timeout: 10_000 }).toBe(1);
    await client.read((received) => received.length % largeBytes === 0);
    expect(/^x*$/.test(client.received)).toBe(true);
    expect(others).toHaveLength(300);
  });
});

const largeBytes = 100 * 1024;

function large(): Buffer {
  return Buffer.allocUnsafeSlow(largeBytes).fill("x");
}

describe("read buffers", () => {
  it("are taken again once given back, of which 32 are kept", () => {
    const taken = Array.from({ length: 40 }, takeLargeBuffer);
    expect(new Set(taken).size).toBe(40);
    for (const buffer of taken) buffer.release();
    const again = new Set(Array.from({ length: 40 }, takeLargeBuffer));
    expect(again.size).toBe(40);
    expect(taken.filter((buffer) => again.has(buffer))).toHaveLength(32);
  });

  it.each([
    ["once node asks for the next one", "inside a read", "flushed", true],
    ["not where a write may hold on to it", "inside a read", "pending", false],
    ["not where node may still read into it", "between reads", "flushed", false],
  ] as const)("an own buffer is given back %s: left %s, %s", async (_when, at, written, kept) => {
    const { client, socket } = await accepted();
    const buffers: Buffer[] = [];
    let during = () => {};
    const reader = new SocketReader(socket, {
      onRead(bytes) {
        buffers.push(bytes);
        during();
        return true;
      },
    });
    const readInto = async (text: string) => {
      const before = buffers.length;
      client.send(text);
      await expect.poll(() => buffers.length).toBe(before + 1);
      return buffers.at(-1);
    };
    reader.useOwn();
    expect(await readInto("a")).toBe(readArea);
    if (at === "inside a read") during = () => reader.useShared(written);
    const own = await readInto("b");
    expect(own).not.toBe(readArea);
    if (at === "between reads") {
      reader.useShared(written);
      expect(takeLargeBuffer().bytes).not.toBe(own);
      expect(await readInto("c")).toBe(own);
    }
    during = () => {};
    expect(await readInto("d")).toBe(readArea);
    expect(takeLargeBuffer().bytes === own).toBe(kept);
  });

  it("are not given back while their socket may still read into them: no client's bytes in another's response", async () => {
    const big = Buffer.alloc(24 * 1024 * 1024, "v");
    const { promise: pouring, resolve } = Promise.withResolvers<Pouring>();
    let uploaded = "";
    const stable = await rawUpstream((socket, received) => {
      if (received.startsWith("POST /early")) {
        uploaded = received;
        if (received.endsWith("uuu")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      } else if (received.startsWith("POST /small") && !received.includes("GET /big")) {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall");
      } else if (received.includes("GET /big") && received.endsWith("\r\n\r\n")) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n`);
        resolve(new Pouring(socket, big));
      }
    });
    const lane = await LaneWithClock.start(shopAt(stable.origin));
    const [first, victim] = [await lane.client(), await lane.client()];

    // An upload that is answered before it is whole: what is left of it is read and thrown away.
    const piece = `second piece${"u".repeat(2000)}`;
    first.send(`POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: ${piece.length + 15}\r\n\r\n12345`);
    await expect.poll(() => uploaded).toMatch(/12345$/);
    first.send("abcde");
    await expect.poll(() => uploaded).toMatch(/abcde$/);
    first.send(piece);
    await first.read((received) => received.includes("\r\n\r\n"));
    await lane.reads(() => first.send("67890"));
    // A small upload that needs a new connection to the upstream.
    first.received = "";
    first.send("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
    await first.read((received) => received.endsWith("small"));
    // A slow reader of a large response.
    victim.socket.pause();
    victim.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await (await pouring).stalled()).toBeGreaterThan(0);
    const secret = "SECRET ".repeat(9_000).slice(0, 60_000);
    first.send(`POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: ${secret.length}\r\n\r\n${secret}`);
    await expect.poll(() => stable.sockets.some((socket) => socket.bytesRead > secret.length)).toBe(true);
    victim.socket.resume();
    const answer = await victim.read((received) => received.length >= big.length);
    const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
    const foreign = body.search(/[^v]/);
    expect(foreign < 0 ? "" : body.slice(foreign, foreign + 60)).toBe("");
  });
});
