import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { readArea } from "../../../src/proxy/fast/arena.ts";
import { SocketReader } from "../../../src/proxy/fast/socket-reader.ts";
import { freeAfterTest, listening, rawClient } from "../../kit/freed.ts";
import type { RawClient } from "../../kit/raw-client.ts";

/** A connection is read by its handle or, where that is not what is expected, as a stream. */
const ways = [{ way: "by the handle" }, { way: "as a stream" }] as const;

/** A client, and the connection that was accepted from it. */
async function accepted(way: (typeof ways)[number]["way"]): Promise<{ client: RawClient; socket: Socket }> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  const port = await listening(server);
  const arrived = once(server, "connection");
  const client = await rawClient(port);
  const [socket] = (await arrived) as [Socket & { _handle: object }];
  if (way === "as a stream") Object.defineProperty(socket._handle, "useUserBuffer", { value: undefined });
  return { client, socket };
}

/** Reads; `more` decides after each read whether to go on. */
function reading(socket: Socket, more: (received: string) => boolean = () => true) {
  const seen = { received: "", buffers: new Set<Buffer>() };
  const taken = new SocketReader(socket, {
    onRead: (bytes, length) => {
      seen.received += bytes.toString("latin1", 0, length);
      seen.buffers.add(bytes);
      return more(seen.received);
    },
  });
  freeAfterTest(async () => socket.destroy());
  return { taken, seen };
}

describe.each(ways)("an accepted socket, read $way", ({ way }) => {
  it("brings the reader what the client sends, whole and in order", async () => {
    const { client, socket } = await accepted(way);
    const { seen } = reading(socket);
    const sent = Array.from({ length: 500 }, (_, at) => `${at} `).join("");
    client.send(sent);
    await expect.poll(() => seen.received).toBe(sent);
    expect([...seen.buffers].every((buffer) => buffer === readArea)).toBe(way === "by the handle");
  });

  it("sends what is written, and has both addresses", async () => {
    const { client, socket } = await accepted(way);
    reading(socket);
    socket.write("hello");
    expect(await client.read((received) => received === "hello")).toBe("hello");
    expect(socket.remoteAddress).toBe("127.0.0.1");
    expect(socket.remotePort).toBe(client.socket.localPort);
  });

  it("brings no more after the reader returned false, until it is resumed", async () => {
    const { client, socket } = await accepted(way);
    let open = false;
    const { taken, seen } = reading(socket, () => open);
    client.send("a");
    await expect.poll(() => seen.received).toBe("a");
    client.send("b");
    socket.write("answered");
    await client.read((received) => received === "answered");
    expect(seen.received).toBe("a");
    open = true;
    taken.resume();
    await expect.poll(() => seen.received).toBe("ab");
  });

  it("emits the client's end and its reset", async () => {
    for (const leave of ["end", "resetAndDestroy"] as const) {
      const { client, socket } = await accepted(way);
      reading(socket);
      socket.on("error", () => {});
      const left = new Promise((resolve) => socket.once(leave === "end" ? "end" : "close", resolve));
      client.socket[leave]();
      await left;
    }
  });

  /** Gives the connection, with its first read, to a server of node:http. */
  function givenToHttp(socket: Socket) {
    const bodies: string[] = [];
    const http = createHttpServer((request, response) => {
      let body = "";
      request.setEncoding("latin1").on("data", (chunk: string) => {
        body += chunk;
      });
      request.on("end", () => {
        bodies.push(body);
        response.end(`${request.url} ${body.length}`);
      });
    });
    const owner: { taken?: SocketReader } = {};
    owner.taken = new SocketReader(socket, {
      onRead: (bytes, length) => {
        owner.taken?.giveBack(Buffer.from(bytes.subarray(0, length)));
        http.emit("connection", socket);
        bytes.fill(0x21, 0, length);
        return true;
      },
    });
    freeAfterTest(async () => socket.destroy());
    return { bodies, http };
  }

  it("is an ordinary stream once given back, with the bytes that were read first", async () => {
    const { client, socket } = await accepted(way);
    givenToHttp(socket);
    client.send("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.read((received) => received.endsWith("/one 0"));
    client.send("GET /two HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.read((received) => received.endsWith("/two 0"));
  });

  it("loses and doubles nothing when given back in the middle of a head with a large body behind it", async () => {
    const { client, socket } = await accepted(way);
    const { bodies, http } = givenToHttp(socket);
    const givenBack = once(http, "connection");
    const body = Array.from({ length: 200_000 }, (_, at) => `${at},`).join("");
    client.send("POST /large HT");
    await givenBack;
    client.send(`TP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await client.read((received) => received.includes(`/large ${body.length}`));
    expect(bodies[0] === body).toBe(true);
  });

  it("once given back, is read on as often as it is paused and resumed", async () => {
    const { client, socket } = await accepted(way);
    let received = 0;
    const owner: { taken?: SocketReader } = {};
    owner.taken = new SocketReader(socket, {
      onRead: (bytes, length) => {
        owner.taken?.giveBack(Buffer.from(bytes.subarray(0, length)));
        socket.on("data", (chunk: Buffer) => {
          received += chunk.length;
          socket.pause();
          // The stream fills up meanwhile, so that what a resume brings is followed by a pause at once.
          setTimeout(() => socket.resume(), 5);
        });
        return true;
      },
    });
    freeAfterTest(async () => socket.destroy());
    const length = 2_000_000;
    client.send("x".repeat(length));
    await expect.poll(() => received).toBe(length);
  });
});
