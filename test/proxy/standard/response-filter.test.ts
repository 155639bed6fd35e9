/** @module-tag slow */
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { maxInterimResponses } from "../../../src/proxy/interim-responses.ts";
import { perch, rawClient, rawUpstream } from "../../kit/freed.ts";
import { H2Client, h2cListener } from "../../kit/h2-client.ts";
import { requestsTotal, shopYaml, upstreamErrors } from "../../kit/one-service.ts";

/** Perch with both kinds of clients in the standard lane, in front of an upstream that answers with raw bytes. */
async function standardLane(answer: string | ((socket: Socket, received: string) => void)) {
  const respond = (socket: Socket, received: string) => {
    if (received.endsWith("\r\n\r\n")) socket.write(answer as string, "latin1");
  };
  const stable = await rawUpstream(typeof answer === "string" ? respond : answer);
  const service = "timeouts: { connect: 1s, responseHeaders: 1s, idle: 1s }";
  const yaml = shopYaml({ stable: stable.origin, service, more: "fastLane: off" });
  const { port, origin, metric } = await perch(yaml, { listeners: h2cListener });
  return {
    metric,
    /** Everything that an HTTP/1.1 client receives until the connection closes. */
    async http1(bytes = get): Promise<string> {
      const client = await rawClient(port);
      client.send(bytes);
      return client.read();
    },
    http2: (path = "/") => new H2Client(origin).get({ path }),
  };
}

const get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const internalError = 2;

describe("what an HTTP/1.1 upstream sends, before undici reads it", () => {
  it("a body without a length that ends with a reset is a cut transfer, to HTTP/1.1 and HTTP/2 clients", async () => {
    const lane = await standardLane((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n\r\n${"x".repeat(1_000)}`, () => setImmediate(() => socket.resetAndDestroy()));
    });
    const received = await lane.http1();
    expect(received).toContain("x".repeat(1_000));
    expect(received).not.toMatch(/\r\n0\r\n\r\n$/);
    const answer = await lane.http2();
    expect([answer.status, answer.body.length, answer.reset]).toEqual([200, 1_000, internalError]);
    expect(await lane.metric(upstreamErrors("upstream-reset"))).toBe(2);
  });

  it("a body without a length that ends with the connection is whole", async () => {
    const lane = await standardLane((socket) => void socket.end("HTTP/1.1 200 OK\r\n\r\nwhole"));
    expect(await lane.http1()).toMatch(/\r\n5\r\nwhole\r\n0\r\n\r\n$/);
    expect(await lane.http2()).toMatchObject({ status: 200, body: "whole", reset: 0 });
  });

  it.each([
    ["a bare CR at the end of the status line", "HTTP/1.1 200 OK\r\rContent-Length: 4\r\n\r\nabcd"],
    ["version 2.0", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    ["a leading empty line", `\r\n${ok}`],
    ["chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["chunked, then gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"],
    ["12,000 fields", `HTTP/1.1 200 OK\r\n${"a:b\r\n".repeat(12_000)}Content-Length: 2\r\n\r\nok`],
    ["a 101 that was not asked for", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"],
  ])("%s is the upstream's error to every client", async (_what, answer) => {
    const lane = await standardLane(answer);
    expect(await lane.http1()).toMatch(/^HTTP\/1\.1 502 [\s\S]*x-perch-error: upstream-malformed/);
    expect(await lane.http2()).toMatchObject({ status: 502, headers: { "x-perch-error": "upstream-malformed" } });
    expect(await lane.metric(requestsTotal(502))).toBe(2);
  });

  it.each([
    ["blanks around the length", "HTTP/1.1 200 OK\r\nContent-Length: \t2 \r\n\r\nok"],
    [
      "blanks before a chunk extension",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 ;a=b\r\nok\r\n0\r\n\r\n",
    ],
    ["a 100", `HTTP/1.1 100 Continue\r\n\r\n${ok}`],
    ["interim responses up to the bound", "HTTP/1.1 100 Continue\r\n\r\n".repeat(maxInterimResponses) + ok],
    ["an unknown interim response", `HTTP/1.1 199 Odd\r\nX-A: b\r\n\r\n${ok}`],
    ["a 103 with Connection: close", `HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n${ok}`],
  ])("%s: the response is passed on", async (_what, answer) => {
    const lane = await standardLane(answer);
    expect(await lane.http1()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*ok/);
    expect(await lane.http2()).toMatchObject({ status: 200, body: "ok", interim: [] });
  });

  it("a 100 a while before the response, for a request with a body", async () => {
    const lane = await standardLane((socket, received) => {
      if (!received.endsWith("x=1")) return;
      socket.write("HTTP/1.1 100 Continue\r\n\r\n", () => setImmediate(() => socket.write(ok)));
    });
    const post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nx=1";
    expect(await lane.http1(post)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  it("a head and chunks with trailers that arrive byte by byte", async () => {
    const chunks = "2;x=y\r\nok\r\n3\r\nay!\r\n0\r\nX-Sum: 1\r\n\r\n";
    const lane = await standardLane(async (socket) => {
      const bytes = Buffer.from(
        `HTTP/1.1 200 All right\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n${chunks}`,
      );
      for (const byte of bytes) {
        const { promise, resolve } = Promise.withResolvers<void>();
        socket.write(Buffer.from([byte]), () => setImmediate(resolve));
        await promise;
      }
    });
    const received = await lane.http1();
    expect(received).toMatch(/^HTTP\/1\.1 200 All right\r\n/);
    expect(received).toMatch(/\r\n0\r\nX-Sum: 1\r\n\r\n$/);
    expect(await lane.http2()).toMatchObject({ status: 200, body: "okay!", trailers: ["x-sum", "1"] });
  });

  it("a whole response to an unfinished upload survives the reset behind it", async () => {
    const head = "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 23\r\n\r\n";
    const lane = await standardLane((socket) => {
      socket.write(`${head}too large, says the app`, () => socket.destroy());
    });
    for (let i = 0; i < 3; i++) {
      const size = 8 * 1024 * 1024;
      const upload = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n${"x".repeat(size)}`;
      expect(await lane.http1(upload)).toMatch(/^HTTP\/1\.1 413 [\s\S]*too large, says the app$/);
    }
  });
});
