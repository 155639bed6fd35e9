import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { freeAfterTest } from "../kit/freed.ts";
import { lanes, perchIn } from "../kit/one-service.ts";
import { temporaryFolder } from "../kit/served.ts";

/** A server on a unix socket, which answers with the host and body of the request. */
async function unixServer(path: string): Promise<{ readonly server: Server; readonly connections: () => number }> {
  let connections = 0;
  const server = createServer(async (request, response) => {
    const body = (await request.setEncoding("utf8").toArray()).join("");
    response.end(`${request.method} ${request.url} for ${request.headers.host}: ${body}`);
  });
  server.on("connection", () => connections++);
  server.listen(path);
  await once(server, "listening");
  freeAfterTest(async () => {
    server.close();
    server.closeAllConnections();
  });
  return { server, connections: () => connections };
}

describe.each(lanes)("an endpoint on a unix socket, in the $lane lane", ({ fastLane }) => {
  it("is sent requests on one connection", async () => {
    const path = join(await temporaryFolder(), "shop.sock");
    const { connections } = await unixServer(path);
    const { origin, port, metric } = await perchIn(fastLane)(`unix:${path}`);
    for (const body of ["one", "two"]) {
      const response = await fetch(`${origin}/a?b`, { method: "POST", body });
      expect(await response.text()).toBe(`POST /a?b for 127.0.0.1:${port}: ${body}`);
    }
    expect(connections()).toBe(1);
    expect(await metric(`perch_endpoint_up{service="shop",version="stable",endpoint="unix:${path}"}`)).toBe(1);
  });

  it("that does not exist cannot be reached", async () => {
    const { origin } = await perchIn(fastLane)(`unix:${join(await temporaryFolder(), "none.sock")}`);
    const response = await fetch(origin);
    expect([response.status, response.headers.get("x-perch-error")]).toEqual([502, "connect-failed"]);
  });
});

describe("an endpoint on a unix socket", () => {
  it("takes WebSockets", async () => {
    const path = join(await temporaryFolder(), "shop.sock");
    const { server } = await unixServer(path);
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
    const { port } = await perchIn("on")(`unix:${path}`);
    const client = new WebSocket(`ws://127.0.0.1:${port}/`);
    await once(client, "open");
    client.send("hello");
    expect(String((await once(client, "message"))[0])).toBe("hello");
    client.terminate();
  });
});
