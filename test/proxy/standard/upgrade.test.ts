import { once } from "node:events";
import { expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { freeAfterTest, perch } from "../../kit/freed.ts";

it("carries messages both ways", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  freeAfterTest(async () => server.close());
  await once(server, "listening");
  server.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
  const { port } = server.address() as { port: number };
  const p = await perch(`
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:${port}"] } } } }
routes: [{ name: all, service: shop }]
`);
  const client = new WebSocket(`ws://127.0.0.1:${p.port}/x`);
  await once(client, "open");
  client.send("hi");
  const [data] = await once(client, "message");
  expect(String(data)).toBe("hi");
  client.close();
  await once(client, "close");
  await expect.poll(() => p.metric(`perch_requests_total{route="all",service="shop",version="stable",code="101",method="GET"}`)).toBe(1);
});
