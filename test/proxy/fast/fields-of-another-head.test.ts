import { expect, test } from "vitest";
import { rawUpstream } from "../../kit/freed.ts";
import { perchTo } from "../../kit/one-service.ts";
import { RawClient } from "../../kit/raw-client.ts";

/** Another connection's head, read while the first request is answered, that leaves the reader's fields as they are. */
const others = [
  ["nothing", ""],
  ["a head that is not complete", "GET / HTTP/1.1\r\nHost: other.example\r\nAAAAAAAAAAAAAAAAAAAAAAAA: b\r\nX: y"],
  [
    "a head that is handed over",
    "GET / HTTP/1.1\r\nHost: other.example\r\nXX: y\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
  ],
] as const;

test.each(others)(
  "an own answer's form follows its own request's Accept, whatever came meanwhile: %s",
  async (_, other) => {
    const upstream = await rawUpstream(() => {});
    const { port } = await perchTo(upstream.origin);
    const client = await RawClient.connect(port);
    client.send("POST / HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\n\r\n");
    await expect.poll(() => upstream.sockets.length).toBe(1);
    const stranger = await RawClient.connect(port);
    stranger.send(other);
    await expect.poll(() => stranger.socket.bytesWritten).toBe(other.length);
    await new Promise((resolve) => setTimeout(resolve, 100));
    upstream.sockets[0]?.resetAndDestroy();
    const answer = await client.read((received) => received.includes("\r\n\r\n"));
    stranger.close();
    client.close();
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(answer).toContain("Content-Type: application/json");
  },
);

test.each(others)(
  "a pin is Secure where its own request came by https, whatever came meanwhile: %s",
  async (_, other) => {
    const upstream = await rawUpstream(() => {});
    const { port } = await perchTo(
      upstream.origin,
      `trustedProxies: ["127.0.0.1/32"]
releases:
  shop:
    split: { stable: 100 }
    sticky: { whenWeightsChange: follow }
`,
    );
    const client = await RawClient.connect(port);
    client.send(
      "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
    );
    await expect.poll(() => upstream.sockets.length).toBe(1);
    const stranger = await RawClient.connect(port);
    stranger.send(other);
    await new Promise((resolve) => setTimeout(resolve, 100));
    upstream.sockets[0]?.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const answer = await client.read((received) => received.includes("\r\n\r\n"));
    stranger.close();
    client.close();
    expect(answer).toMatch(/Set-Cookie: [^\r]*; Secure/);
  },
);
