import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { testCertificate, testKey } from "../../kit/certificate.ts";
import { freeAfterTest, rawUpstream } from "../../kit/freed.ts";
import { perchTo, sent, upgradeHead } from "../../kit/websocket.ts";

const trustedBefore = getCACertificates("default");

afterEach(() => setDefaultCACertificates(trustedBefore));

/** An https endpoint that echoes over WebSocket, and the server names that were asked for. */
async function secureServer() {
  const server = createServer({ key: testKey, cert: testCertificate });
  const names: unknown[] = [];
  server.on("secureConnection", (socket) => names.push(socket.servername));
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
  freeAfterTest(async () => {
    for (const client of sockets.clients) client.terminate();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, names };
}

describe("a WebSocket to an https endpoint", () => {
  it("is verified by the endpoint's name, whatever host the client asked for", async () => {
    setDefaultCACertificates([...trustedBefore, testCertificate]);
    const { port, names } = await secureServer();
    const perch = await perchTo([`https://localhost:${port}`]);
    const client = new WebSocket(`ws://127.0.0.1:${perch.port}/`, { headers: { host: "elsewhere.example" } });
    await once(client, "open");
    client.send("hello");
    expect(String((await once(client, "message"))[0])).toBe("hello");
    expect(names).toEqual(["localhost"]);
    client.close();
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101, host: "elsewhere.example" }]);
  });

  it("is not made where the certificate is not trusted", async () => {
    const { port } = await secureServer();
    const perch = await perchTo([`https://localhost:${port}`]);
    const client = await sent(perch.port, upgradeHead());
    expect(await client.read()).toContain("\r\nx-perch-error: tls-failed\r\n");
    expect(await perch.outcomes(1)).toMatchObject([{ status: 502, error: "tls-failed" }]);
  });

  it("gives up a TLS handshake that gets no answer by the connect timeout", async () => {
    const silent = await rawUpstream(() => {});
    const perch = await perchTo([`https://127.0.0.1:${silent.port}`]);
    const client = await sent(perch.port, upgradeHead());
    expect(await client.read()).toContain("\r\nx-perch-error: connect-timeout\r\n");
    expect(await perch.outcomes(1)).toMatchObject([{ status: 504, error: "connect-timeout" }]);
  });
});
