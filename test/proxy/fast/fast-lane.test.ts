import { expect, test } from "vitest";
import { App } from "../../../src/app/app.ts";
import { freeAfterTest, rawUpstream } from "../../kit/freed.ts";
import { lanes, perchIn } from "../../kit/one-service.ts";
import { RawClient } from "../../kit/raw-client.ts";

test.each(lanes)(
  "$lane lane: a connection whose answer began before the drain closes with that answer's end",
  async ({ fastLane }) => {
    const upstream = await rawUpstream((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"));
    const perch = await perchIn(fastLane)(upstream.origin);
    const client = await RawClient.connect(perch.port);
    freeAfterTest(async () => client.close());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.read((r) => r.endsWith("ab"));
    const started = performance.now();
    const stopped = perch.app.drain("test");
    await new Promise((resolve) => setTimeout(resolve, 200));
    upstream.sockets[0]?.write("cd");
    await client.read((r) => r.endsWith("abcd"));
    await stopped;
    // The kit gives a drain five seconds.
    expect(performance.now() - started).toBeLessThan(2_000);
  },
);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("what one listener's clients send never stands in the answers of another listener", async () => {
  const bytes = 60_000;
  const answers = 150;
  const upstream = await rawUpstream((socket, received) => {
    if (!received.endsWith("\r\n\r\n")) return;
    const large = received.lastIndexOf("GET /large") > received.lastIndexOf("GET /small");
    const body = large ? "v".repeat(bytes) : "small";
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  const app = await App.start({
    source: {
      kind: "text",
      name: "t",
      text: `
listeners: [{ name: a, address: "127.0.0.1:0" }, { name: b, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
services: { shop: { versions: { stable: { endpoints: ["${upstream.origin}"] } } } }
routes: [{ name: all, service: shop }]
`,
    },
    env: {},
    logLevel: "silent",
    drainDelayMs: 0,
    drainTimeoutMs: 1000,
    accessLogTo: "/dev/null",
  });
  freeAfterTest(() => app.stop());
  const [a, b] = await Promise.all(
    app.listeners.map(({ address }) => RawClient.connect(typeof address === "string" ? 0 : address.port)),
  );
  if (a === undefined || b === undefined) throw new Error("two listeners");
  freeAfterTest(async () => {
    a.close();
    b.close();
  });
  // The first listener opens the connection that the second one's requests then use.
  a.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n");
  await a.read((received) => received.endsWith("small"));
  await pause(50);
  b.socket.pause();
  b.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n".repeat(answers));
  await pause(800);
  a.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${"SECRET ".repeat(8_000)}`);
  await pause(200);
  b.socket.resume();
  const all = await b.read((received) => received.length > answers * bytes && received.endsWith("v"));
  const foreign = all.indexOf("SECRET");
  expect(foreign < 0 ? "" : all.slice(foreign, foreign + 40)).toBe("");
});
