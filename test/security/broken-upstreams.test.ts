/** @module-tag slow */
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { rawClient, rawUpstream } from "../kit/freed.ts";
import { lanes, perchIn } from "../kit/one-service.ts";
import { readStrictResponse } from "../kit/strict-response.ts";

const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
const last = (path: string) => get(path, "Connection: close\r\n");
const sized = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** What an upstream answers to `/bad`. A client may see an error of Perch, or an aborted response. */
const broken: readonly (readonly [name: string, answer: string])[] = [
  [
    "a length and chunks",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK",
  ],
  ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\nhello"],
  ["a length below zero", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"],
  ["a length over 2^64", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello"],
  ["chunks of an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
  ["a bare CR in a value", "HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n"],
  ["a NUL in a value", "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n"],
  ["a name with a blank", "HTTP/1.1 200 OK\r\nX A: a\r\nContent-Length: 0\r\n\r\n"],
  ["garbage", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03garbage\r\n\r\n"],
  ["an invalid status", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"],
  ["a head of 200 KiB", `HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(200_000)}\r\nContent-Length: 0\r\n\r\n`],
  ["a head of 5,000 fields", `HTTP/1.1 200 OK\r\n${`X-A: ${"a".repeat(20)}\r\n`.repeat(5_000)}\r\n`],
  ["an invalid chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5g\r\nhello\r\n0\r\n\r\n"],
  ["a chunk size over 2^64", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1ffffffffffffffff\r\nhello"],
];

describe.each(lanes)("malformed responses of upstreams, in the $lane lane", ({ fastLane }) => {
  /** Perch in front of an upstream that does `bad` for `/bad`, and answers other paths with their name. */
  async function perchBefore(bad: (socket: Socket) => void) {
    const upstream = await rawUpstream((socket, received) => {
      const path = /(?:GET|POST) (\S+) HTTP\/1\.1\r\n(?!.*(?:GET|POST) )/s.exec(received)?.[1];
      if (path === "/bad") bad(socket);
      else if (received.endsWith("\r\n\r\n")) socket.write(sized(`answer to ${path}`));
    });
    return perchIn(fastLane)(upstream.origin);
  }

  /** Everything received until the connection ends, and whether it is a complete response. */
  async function ask(port: number, bytes: string) {
    const client = await rawClient(port);
    client.send(bytes);
    const received = await client.read();
    const reading = readStrictResponse(received, 0, "GET");
    return { received, kind: reading.kind };
  }

  it.each(broken)(
    "the client gets an error or an aborted response, and the next client its own: %s",
    async (_name, answer) => {
      const { port } = await perchBefore((socket) => socket.write(answer, "latin1"));
      const { received, kind } = await ask(port, last("/bad"));
      if (kind === "complete") expect(received).toMatch(/^HTTP\/1\.1 50[24] [\s\S]*\r\nx-perch-error: upstream-/);
      else expect(received).not.toContain("HTTP/1.1 200 OK\r\nX");
      for (const path of ["/1", "/2"]) expect((await ask(port, last(path))).received).toContain(`answer to ${path}`);
    },
  );

  it("unsolicited responses reach no client", async () => {
    const { port } = await perchBefore((socket) => socket.write(sized("good") + sized("poison")));
    expect((await ask(port, last("/bad"))).received).toMatch(/good$/);
    for (let i = 0; i < 10; i++) expect((await ask(port, last(`/${i}`))).received).toContain(`answer to /${i}`);
  });

  it("a flood of interim responses ends at the response timeout", { tags: ["slow"] }, async () => {
    const { port } = await perchBefore((socket) => {
      // An upstream that keeps sending is what is tested.
      const flood = setInterval(() => socket.write("HTTP/1.1 102 Processing\r\n\r\n".repeat(50)), 5);
      socket.on("close", () => clearInterval(flood));
    });
    const { received } = await ask(port, last("/bad"));
    expect(received).toMatch(/HTTP\/1\.1 50[24] [\s\S]*x-perch-error: upstream-/);
  });

  it("an endless head ends at the response timeout", { tags: ["slow"] }, async () => {
    const { port } = await perchBefore((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      // One that keeps sending slowly.
      const drip = setInterval(() => socket.write("X-A: a\r\n"), 20);
      socket.on("close", () => clearInterval(drip));
    });
    expect((await ask(port, last("/bad"))).received).toMatch(/^HTTP\/1\.1 504 [\s\S]*x-perch-error: upstream-timeout/);
  });

  it.each([
    ["with a length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"],
    ["of chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
  ])("a body that ends early is never a complete response: %s", async (_name, answer) => {
    const { port } = await perchBefore((socket) => void socket.end(answer));
    const { received, kind } = await ask(port, get("/bad"));
    expect([kind, received.includes("hello")]).toEqual(["incomplete", true]);
  });

  it("a response before the end of the request's body arrives, and the rest of the body becomes no request", async () => {
    const { port } = await perchBefore((socket) => socket.write(sized("early")));
    const client = await rawClient(port);
    client.send("POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello");
    expect(await client.read((received) => received.includes("early"))).toMatch(/^HTTP\/1\.1 200 /);
    client.close();
    expect((await ask(port, last("/1"))).received).toContain("answer to /1");
  });
});
