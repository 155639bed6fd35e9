/** @module-tag slow */
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { maxInterimResponses } from "../../../src/proxy/interim-responses.ts";
import { stalled } from "../../kit/bell.ts";
import { rawClient, rawUpstream, upstream } from "../../kit/freed.ts";
import { perchIn, perchTo, requestsInFlight, requestsTotal, upstreamErrors } from "../../kit/one-service.ts";

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const upload = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";

describe("a client that leaves", () => {
  const stages: readonly [stage: string, request: string, sent: string, until: (received: string) => boolean][] = [
    ["before the response", get, "", () => true],
    ["in the response's head", get, "HTTP/1.1 200 OK\r\nX: ", () => true],
    ["in the response's body", get, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", (all) => all.endsWith("ab")],
    ["in a chunk", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab", (all) => all.endsWith("ab")],
    ["behind an interim response", get, "HTTP/1.1 102 Processing\r\n\r\n", (all) => all.includes("102")],
    ["in an upload", `${upload}abc`, "", () => true],
    [
      "in an upload that has a response already",
      `${upload}abc`,
      "HTTP/1.1 200 OK\r\n\r\nab",
      (all) => all.includes("ab"),
    ],
  ];
  it.each(stages)(
    "%s: one 499, nothing in flight, and the upstream connection closes",
    async (_stage, request, sent, until) => {
      for (const leave of ["destroy", "resetAndDestroy", "end"] as const) {
        const stable = await rawUpstream((socket) => {
          if (sent !== "") socket.write(sent);
        });
        const perch = await perchTo(stable.origin);
        const client = await rawClient(perch.port);
        client.send(request);
        await expect.poll(() => stable.sockets[0]?.bytesRead ?? 0).toBeGreaterThan(0);
        await client.read(until);
        client.socket[leave]();
        const method = request.slice(0, request.indexOf(" "));
        await expect.poll(() => perch.metric(requestsTotal("499", "stable", method))).toBe(1);
        expect(await perch.metric(requestsInFlight)).toBe(0);
        await expect.poll(() => stable.sockets[0]?.readableEnded || stable.sockets[0]?.destroyed).toBe(true);
        expect((await perch.metric(requestsTotal("200", "stable", method))) ?? 0).toBe(0);
        await perch.stop();
      }
    },
  );
});

describe("an upstream that breaks", () => {
  const breaks: readonly [stage: string, sent: string, wanted: string][] = [
    ["in the head", "HTTP/1.1 200 OK\r\nX: ", "upstream-reset"],
    ["behind an interim response", "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", "upstream-reset"],
    ["with bytes that are not HTTP", "hello\r\n\r\n", "upstream-malformed"],
    ["with an unsolicited 101", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "upstream-malformed"],
  ];
  it.each(breaks)("%s: a 502, and the client's connection goes on", async (_stage, sent, wanted) => {
    for (const leave of ["end", "resetAndDestroy"] as const) {
      let broken = 0;
      const stable = await rawUpstream((socket, received) => {
        if (received.startsWith("POST")) {
          broken++;
          socket.write(sent, "latin1", () => setImmediate(() => socket[leave]()));
        } else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
      });
      const { port } = await perchTo(stable.origin);
      const client = await rawClient(port);
      client.send(`POST / HTTP/1.1\r\nHost: x\r\n\r\n${get}`);
      await client.read((received) => received.endsWith("fine"));
      expect(client.received).toMatch(/HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*HTTP\/1\.1 200 OK/);
      expect(client.received).toContain(`x-perch-error: ${wanted}`);
      expect(broken).toBe(1);
    }
  });

  it.each([
    ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"],
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"],
    ["chunks that break", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n"],
  ])("in a body by %s: the client's connection breaks, and the response is never complete", async (_framing, sent) => {
    const stable = await rawUpstream((socket) => socket.end(sent));
    const perch = await perchTo(stable.origin);
    const client = await rawClient(perch.port);
    client.send(get + get);
    const all = await client.read();
    expect(all).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(all).not.toContain("\r\n0\r\n");
    await expect.poll(() => perch.metric(requestsTotal("200"))).toBe(1);
    expect(stable.sockets).toHaveLength(1);
  });

  it("after a kept connection went stale: an idempotent request is sent again, another is not", async () => {
    const stable = await rawUpstream((socket, received) => {
      const requests = received.split("\r\n\r\n").length - 1;
      if (requests === 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
      else socket.resetAndDestroy();
    });
    const perch = await perchTo(stable.origin);
    const client = await rawClient(perch.port);
    const answered = (count: number) =>
      client.read((all) => all.match(/HTTP\/1/g)?.length === count && /fine$|\n$/.test(all) && !/\r\n$/.test(all));
    client.send(get);
    await answered(1);
    client.send(get);
    await answered(2);
    client.send("POST / HTTP/1.1\r\nHost: x\r\n\r\n");
    await answered(3);
    expect(client.received.match(/(?<=HTTP\/1\.1 )\d+/g)).toEqual(["200", "200", "502"]);
    expect(await perch.metric('perch_retries_total{service="shop",version="stable",outcome="success"}')).toBe(1);
    expect(await perch.metric(upstreamErrors("upstream-reset"))).toBe(2);
  });
});

describe("interim responses that nobody asked for", () => {
  const fine = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
  const post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nx=1";
  const goOn = "HTTP/1.1 100 Continue\r\n\r\n";

  it.each([
    ["a 100 to GET", get, goOn],
    ["a 100 to POST", post, goOn],
    ["two 100", get, goOn + goOn],
    ["a 100 behind a 103 without links", get, `HTTP/1.1 103 Early Hints\r\n\r\n${goOn}`],
    ["a 100 with a length, chunks and a close", get, `HTTP/1.1 100\r\nContent-Length: 5\r\nConnection: close\r\n\r\n`],
    ["a 100 with chunks", get, "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a 100 over HTTP/1.0", get, "HTTP/1.0 100 Continue\r\n\r\n"],
    ["unknown ones", get, "HTTP/1.1 104 Later\r\nX: y\r\n\r\nHTTP/1.1 199 Misc\r\n\r\n"],
    ["as many as are allowed", get, goOn.repeat(maxInterimResponses)],
  ])("%s: skipped, in one read, in several, and on a connection that is reused", async (_kind, request, interim) => {
    const stable = await rawUpstream((socket, received) => {
      if (received.includes("/split")) for (const byte of interim + fine) socket.write(byte);
      else socket.write(interim + fine);
    });
    const { port } = await perchTo(stable.origin);
    const client = await rawClient(port);
    for (const target of ["/", "/", "/split"]) {
      client.received = "";
      client.send(request.replace("/", target));
      await client.read((all) => all.endsWith("fine"));
      expect(client.received).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    }
    expect(stable.sockets).toHaveLength(1);
  });

  it.each([
    ["more than are allowed", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(maxInterimResponses + 1)],
    ["a 101 behind a 100", `${goOn}HTTP/1.1 101 Switching Protocols\r\n\r\n`],
    ["a malformed one", "HTTP/1.1 100 Continue\r\nX Y: z\r\n\r\n"],
  ])("%s: a 502, and the connection closes", async (_kind, interim) => {
    const stable = await rawUpstream((socket) => socket.write(interim + fine));
    const { port } = await perchTo(stable.origin);
    const client = await rawClient(port);
    client.send(get);
    await client.read((all) => all.endsWith("\n") && all.includes("x-perch-error: upstream-malformed"));
    expect(client.received).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);
    await expect.poll(() => stable.sockets[0]?.destroyed).toBe(true);
  });

  it("an endless flood of them costs one connection and no memory", async () => {
    const flood = Buffer.from(`HTTP/1.1 103 Early Hints\r\nLink: </${"x".repeat(8_000)}>; rel=preload\r\n\r\n`);
    const stable = await rawUpstream((socket) => {
      const pour = (error?: Error | null) => {
        if (!error) socket.write(flood, pour);
      };
      pour();
    });
    const { port } = await perchTo(stable.origin);
    const client = await rawClient(port);
    client.send(get);
    await client.read((all) => all.includes("x-perch-error: upstream-malformed"));
    expect(client.received.split("HTTP/1.1 103 ").length - 1).toBe(maxInterimResponses);
  });
});

describe("backpressure", () => {
  it("a client that does not read stops its upstream, and gets everything in the end", async () => {
    const bytes = 64 * 1024 * 1024;
    let written = 0;
    const stable = await rawUpstream((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
      const piece = Buffer.alloc(64 * 1024, "x");
      const pour = () => {
        if (written === bytes) return;
        written += piece.length;
        socket.write(piece, pour);
      };
      pour();
    });
    const { port } = await perchTo(stable.origin);
    const client = await rawClient(port);
    let received = 0;
    client.socket.removeAllListeners("data");
    client.socket.pause();
    client.send(get);
    await expect.poll(() => written).toBeGreaterThan(0);
    expect(await stalled(() => written)).toBeLessThan(32 * 1024 * 1024);
    client.socket.on("data", (text: string) => {
      received += text.length;
    });
    client.socket.resume();
    await expect.poll(() => received, { timeout: 10_000 }).toBeGreaterThan(bytes);
  });

  it("an upstream that does not read stops the upload, and gets everything in the end", async () => {
    const bytes = 64 * 1024 * 1024;
    const { promise: asked, resolve } = Promise.withResolvers<Socket>();
    const stable = await rawUpstream((socket) => {
      socket.removeAllListeners("data");
      socket.pause();
      socket.on("data", () => {
        if (socket.bytesRead >= bytes) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
      });
      resolve(socket);
    });
    const { port } = await perchTo(stable.origin);
    const client = await rawClient(port);
    client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`);
    const piece = Buffer.alloc(64 * 1024, "x");
    let sent = 0;
    const pour = () => {
      if (sent === bytes) return;
      sent += piece.length;
      client.socket.write(piece, pour);
    };
    pour();
    const socket = await asked;
    expect(await stalled(() => sent)).toBeLessThan(32 * 1024 * 1024);
    socket.resume();
    await client.read((all) => all.endsWith("fine"));
  });

  it("a response that comes during the upload leaves the connection to the next request", async () => {
    const stable = await rawUpstream((socket, received) => {
      if (!received.startsWith("POST")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
      else if (received.endsWith("first")) socket.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    });
    const { port } = await perchTo(stable.origin);
    const client = await rawClient(port);
    client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${5 + 300_000}\r\n\r\nfirst`);
    await client.read((all) => all.endsWith("no"));
    client.send(`${"GET /x HTTP/1.1\r\n".repeat(20_000).slice(0, 300_000)}${get}`);
    await client.read((all) => all.endsWith("fine"));
    expect(client.received.match(/(?<=HTTP\/1\.1 )\d+/g)).toEqual(["403", "200"]);
    expect(stable.sockets).toHaveLength(2);
  });
});

describe("requests that are handed over to the standard lane", () => {
  const odd: readonly [kind: string, bytes: string][] = [
    ["HTTP/1.0", "GET / HTTP/1.0\r\nHost: x\r\n\r\n"],
    ["CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n"],
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a lower-case method", "get / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["an absolute target", "GET http://x/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"],
    ["odd blanks", "GET / HTTP/1.1\r\nHost:x\r\nX:  y \r\nConnection: close\r\n\r\n"],
    ["a fold", "GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n z\r\n\r\n"],
    ["two Hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"],
    [
      "a length and chunks",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    [
      "Expect",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nabc",
    ],
    ["an unknown expectation", "GET / HTTP/1.1\r\nHost: x\r\nExpect: x\r\nConnection: close\r\n\r\n"],
    ["no route", "GET / HTTP/1.1\r\nHost: nowhere.example\r\nConnection: close\r\n\r\n"],
    ["more than the body limit", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n"],
    ["garbage", "\x16\x03\x01\x02\x00\x01\r\n\r\n"],
  ];

  it.each(odd)(
    "%s: answered as in that lane alone, first or later on a connection, and in order where pipelined",
    async (_kind, bytes) => {
      const stable = await upstream("stable", (request, response, body) => response.end(`${request.url} ${body};`));
      const more = "limits: { body: 2KiB }";
      const routes = { on: await perchIn("on")(stable.origin, more), off: await perchIn("off")(stable.origin, more) };
      const views: string[][] = [];
      for (const perch of [routes.off, routes.on]) {
        const view: string[] = [];
        for (const before of [0, 3]) {
          const client = await rawClient(perch.port);
          for (let at = 1; at <= before; at++) {
            client.send(get);
            await client.read((all) => all.split(" ;").length - 1 === at);
          }
          client.send(bytes);
          view.push(plain(await client.read(localReplyEnds)));
        }
        views.push(view);
      }
      expect(views[1]).toEqual(views[0]);
      const client = await rawClient(routes.on.port);
      client.send(get + get + bytes);
      expect(await client.read()).toMatch(
        /^HTTP\/1\.1 200 OK\r\n[\s\S]*\/ ;HTTP\/1\.1 200 OK\r\n[\s\S]*\/ ;HTTP\/1\.1 /,
      );
    },
  );
});

/** Perch lingers behind some of its local replies; nothing follows their text. */
function localReplyEnds(received: string): boolean {
  return /x-perch-error[\s\S]*\r\n\r\n[^\r]*\.\n$/.test(received);
}

/** A response without what differs from one to the next. */
function plain(received: string): string {
  return received
    .replace(/Date: [^\r]*/g, "Date: now")
    .replace(/x-request-id: [^\r]*/g, "x-request-id: id")
    .replace(/"requestId":"[^"]*"/g, "");
}
