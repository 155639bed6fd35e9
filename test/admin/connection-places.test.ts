/** @module-tag slow */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { freeAfterTest, perch, rawClient } from "../kit/freed.ts";
import { shopAt } from "../kit/one-service.ts";

const nowhere = shopAt("http://127.0.0.1:9");

/** Connections to the admin server that send this and then nothing, nor read. */
async function crowd(port: number, count: number, sent: string): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  for (let at = 0; at < count; at++) {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    freeAfterTest(async () => socket.destroy());
    sockets.push(socket);
    await once(socket, "connect");
    socket.write(sent);
  }
  return sockets;
}

const livez = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

async function answersProbesBeside(sent: string): Promise<void> {
  const { adminOrigin } = await perch(nowhere);
  const port = Number(new URL(adminOrigin).port);
  const sockets = await crowd(port, 520, sent);
  for (const path of ["/livez", "/readyz", "/metrics"]) {
    const probe = await rawClient(port);
    probe.send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expect(await probe.read()).toMatch(/^HTTP\/1\.1 200 /);
  }
  // The oldest went, which they notice once they read.
  for (const socket of sockets) socket.resume();
  await expect.poll(() => sockets.filter((socket) => socket.closed).length).toBeGreaterThanOrEqual(520 + 1 - 512);
  expect(sockets[0]?.closed).toBe(true);
}

describe("the admin server, beside 520 connections", () => {
  it.each([
    ["that have sent half a head", "GET /livez HTTP/1.1\r\nHost: loc"],
    ["that have sent nothing", ""],
    ["that owe a body", "POST /api/config HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx"],
    ["that idle after a response", livez],
    ["that pipeline and never finish", `${livez}GET /livez HTTP/1.1\r\n`],
  ])("%s, answers every probe at once", (_sentence, sent) => answersProbesBeside(sent));

  it("that do not read their responses, answers every probe at once", { tags: ["slow"] }, () =>
    answersProbesBeside("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200)),
  );

  it("closes a connection that pipelines more than eight requests, and answers eight", async () => {
    const { adminOrigin } = await perch(nowhere);
    const port = Number(new URL(adminOrigin).port);
    const eight = await rawClient(port);
    eight.send(livez.repeat(8));
    await eight.read((received) => received.split("\nok\n").length === 1 + 8);
    const nine = await rawClient(port);
    nine.send(livez.repeat(9));
    expect(await nine.read()).toBe("");
  });

  it("keeps a connection that is used, however old", async () => {
    const { adminOrigin } = await perch(nowhere);
    const port = Number(new URL(adminOrigin).port);
    const asking = await rawClient(port);
    asking.send(livez);
    expect(await asking.read((received) => received.endsWith("ok\n"))).toMatch(/^HTTP\/1\.1 200 /);
    await crowd(port, 300, "GET /li");
    asking.received = "";
    asking.send(livez);
    expect(await asking.read((received) => received.endsWith("ok\n"))).toMatch(/^HTTP\/1\.1 200 /);
    await crowd(port, 300, "GET /li");
    asking.received = "";
    asking.send(livez);
    expect(await asking.read((received) => received.endsWith("ok\n"))).toMatch(/^HTTP\/1\.1 200 /);
  });
});
