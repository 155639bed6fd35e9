import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, it, test } from "vitest";
import { ReadBuffers, SocketWriter } from "../../../src/proxy/fast/socket-writer.ts";
import { freeAfterTest, rawUpstream } from "../../kit/freed.ts";
import { perchTo } from "../../kit/one-service.ts";
import { RawClient } from "../../kit/raw-client.ts";

async function outletToClient() {
  const server = createServer({ noDelay: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  freeAfterTest(async () => server.close());
  const arrived = once(server, "connection");
  const client = await RawClient.connect((server.address() as AddressInfo).port);
  const [socket] = (await arrived) as [Socket];
  freeAfterTest(async () => {
    client.close();
    socket.destroy();
  });
  const buffers = new ReadBuffers();
  const seen = { flushes: 0 };
  const outlet = new SocketWriter(socket, buffers, () => {
    seen.flushes++;
  });
  return { client, buffers, outlet, seen };
}

it("text waits for the flush and leaves once; taken at once, it is not pending, and nobody is called", async () => {
  const { client, outlet, seen } = await outletToClient();
  outlet.addText("a");
  outlet.addText("\xe9b");
  outlet.flush();
  expect(outlet.pending).toBe(false);
  outlet.flush();
  expect(await client.read((received) => received.endsWith("b"))).toBe("a\xe9b");
  expect(seen.flushes).toBe(0);
});

it("text that the client does not take is pending until it does, and the flush is told then", async () => {
  const { client, outlet, seen } = await outletToClient();
  client.socket.pause();
  let wanted = 0;
  while (!outlet.pending) {
    outlet.addText("x".repeat(15_000));
    outlet.flush();
    wanted += 15_000;
  }
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen.flushes).toBe(0);
  client.socket.resume();
  await client.read((received) => received.length >= wanted);
  await expect.poll(() => seen.flushes, { timeout: 10_000 }).toBe(1);
  expect(outlet.pending).toBe(false);
});

it("an outlet whose peer is gone is broken", async () => {
  const { client, outlet } = await outletToClient();
  expect(outlet.broken).toBe(false);
  client.socket.resetAndDestroy();
  await expect
    .poll(() => {
      outlet.addText("x");
      outlet.flush();
      return outlet.broken;
    })
    .toBe(true);
});

it("small and large pieces and text keep their order", async () => {
  const { client, outlet } = await outletToClient();
  let wanted = "";
  for (const size of [1, 8_192, 8_193, 100, 60_000, 8_000, 8_000, 8_000, 2]) {
    const piece = Buffer.alloc(size, `${size} `);
    outlet.addText(`<${size}>`);
    outlet.passBytes(piece, 0, size);
    wanted += `<${size}>${piece.toString("latin1")}`;
  }
  outlet.flush();
  await client.read((received) => received.length >= wanted.length);
  expect(client.received === wanted).toBe(true);
});

it("only what lies between the two positions leaves", async () => {
  const { client, outlet } = await outletToClient();
  outlet.passBytes(Buffer.from("..small.."), 2, 7);
  outlet.passBytes(Buffer.from(`..${"x".repeat(20_000)}..`), 2, 20_002);
  outlet.flush();
  const received = await client.read((all) => all.length >= 20_005);
  expect(received === `small${"x".repeat(20_000)}`).toBe(true);
});

it("a piece in the shared buffer may be overwritten at once, also while the client does not read", async () => {
  const { client, outlet, buffers } = await outletToClient();
  client.socket.pause();
  let wanted = "";
  for (let at = 0; !outlet.pending || at < 300; at++) {
    const letter = String.fromCharCode(0x61 + (at % 26));
    buffers.shared.fill(letter);
    outlet.passBytes(buffers.shared, 0, 60_000);
    buffers.shared.fill("!");
    wanted += letter.repeat(60_000);
  }
  client.socket.resume();
  await client.read((received) => received.length >= wanted.length);
  expect(client.received === wanted).toBe(true);
  expect(outlet.pending).toBe(false);
});

it("what the client does not take is pending until it does, and the flush is told then", async () => {
  const { client, outlet, seen } = await outletToClient();
  client.socket.pause();
  const piece = Buffer.alloc(16 * 1024 * 1024, "x");
  outlet.passBytes(piece, 0, piece.length);
  await new Promise((resolve) => setImmediate(resolve));
  expect([outlet.pending, seen.flushes]).toEqual([true, 0]);
  client.socket.resume();
  await expect.poll(() => seen.flushes, { timeout: 10_000 }).toBe(1);
  expect(outlet.pending).toBe(false);
});

const turns = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("bytes of one client never stand in the answer to another (a buffer given back while its socket reads into it)", async () => {
  const bigBytes = 24 * 1024 * 1024;
  const upstream = await rawUpstream((socket, received) => {
    if (received.startsWith("POST /early")) {
      if (received.endsWith("uuu")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    } else if (received.startsWith("POST /small") && !received.includes("GET /big"))
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall");
    else if (received.includes("GET /big") && received.endsWith("\r\n\r\n")) {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bigBytes}\r\n\r\n`);
      socket.write(Buffer.alloc(bigBytes, "v"));
    }
  });
  const { port } = await perchTo(upstream.origin);
  const first = await RawClient.connect(port);
  const victim = await RawClient.connect(port);
  freeAfterTest(async () => {
    first.close();
    victim.close();
  });

  // An upload that is answered before it is whole: what is left of it is read and thrown away.
  const piece = `second piece${"u".repeat(2000)}`;
  first.send(`POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: ${piece.length + 15}\r\n\r\n12345`);
  await expect.poll(() => upstream.sockets.length).toBe(1);
  await turns(50);
  first.send("abcde");
  await turns(50);
  first.send(piece);
  await first.read((r) => r.includes("\r\n\r\n"));
  first.send("67890");
  await turns(50);
  // A small upload that needs a new connection to the upstream.
  first.received = "";
  first.send("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
  await first.read((r) => r.endsWith("small"));
  // A slow reader of a large answer.
  victim.socket.pause();
  victim.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
  await turns(400);
  first.send(
    `POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n${"SECRET ".repeat(9000).slice(0, 60000)}`,
  );
  await turns(200);
  victim.socket.resume();
  const answer = await victim.read((r) => r.length >= bigBytes);
  const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
  const foreign = body.search(/[^v]/);
  expect(foreign < 0 ? "" : body.slice(foreign, foreign + 60)).toBe("");
});
