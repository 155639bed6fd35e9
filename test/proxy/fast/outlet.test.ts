import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, it } from "vitest";
import { Outlet, ReadBuffers } from "../../../src/proxy/fast/socket-writer.ts";
import { freeAfterTest } from "../../kit/freed.ts";
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
  const outlet = new Outlet(socket, buffers, () => {
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
    outlet.passOctets(piece, 0, size);
    wanted += `<${size}>${piece.toString("latin1")}`;
  }
  outlet.flush();
  await client.read((received) => received.length >= wanted.length);
  expect(client.received === wanted).toBe(true);
});

it("only what lies between the two positions leaves", async () => {
  const { client, outlet } = await outletToClient();
  outlet.passOctets(Buffer.from("..small.."), 2, 7);
  outlet.passOctets(Buffer.from(`..${"x".repeat(20_000)}..`), 2, 20_002);
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
    outlet.passOctets(buffers.shared, 0, 60_000);
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
  outlet.passOctets(piece, 0, piece.length);
  await new Promise((resolve) => setImmediate(resolve));
  expect([outlet.pending, seen.flushes]).toEqual([true, 0]);
  client.socket.resume();
  await expect.poll(() => seen.flushes, { timeout: 10_000 }).toBe(1);
  expect(outlet.pending).toBe(false);
});
