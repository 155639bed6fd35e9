/** @module-tag slow */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import fc from "fast-check";
import { numOpenSockets } from "http-proxy-3";
import { afterEach, describe, expect, it } from "vitest";
import { rawUpstream, upstream } from "../../kit/freed.ts";
import { Pouring } from "../../kit/pouring.ts";
import { portClosed } from "../../kit/raw-client.ts";
import { soon } from "../../kit/served.ts";
import { refusedOrigin } from "../../kit/upstream.ts";
import { longTimeouts, perchTo, sent, switchedHead, upgradeHead } from "../../kit/websocket.ts";

const headEnd = "\r\n\r\n";

afterEach(async () => {
  // http-proxy-3 counts the sockets that it was given and has not seen closed.
  await expect.poll(numOpenSockets).toBe(0);
});

/** An upstream that answers a handshake with these bytes, and then closes or waits. */
function answering(bytes: string, then: "close" | "wait" = "wait") {
  return rawUpstream((socket, received) => {
    if (!received.includes(headEnd)) return;
    socket.write(bytes, "latin1");
    if (then === "close") socket.end();
  });
}

/** Everything that a client receives for a handshake. */
async function answerTo(port: number, bytes = upgradeHead()): Promise<string> {
  return (await sent(port, bytes)).read();
}

/** A response without what differs from run to run. */
const steady = (answer: string) =>
  answer.replace(/^Date: .*$/m, "Date: <now>").replace(/^x-request-id: .*$/m, "x-request-id: <id>");

describe("a response other than 101", () => {
  const date = "Date: Thu, 01 Jan 2026 00:00:00 GMT";
  const cases: readonly [sentence: string, sent: string, then: "close" | "wait", wanted: string][] = [
    [
      "with a length",
      `HTTP/1.1 426 Upgrade Required\r\n${date}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: 1\r\nContent-Length: 4\r\n\r\nno!\n`,
      "wait",
      `HTTP/1.1 426 Upgrade Required\r\n${date}\r\nX-A: 1\r\nContent-Length: 4\r\nConnection: close\r\n\r\nno!\n`,
    ],
    [
      "in chunks, with a trailer",
      `HTTP/1.1 200 OK\r\n${date}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n`,
      "wait",
      `HTTP/1.1 200 OK\r\n${date}\r\nTrailer: X-Sum\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n`,
    ],
    [
      "that ends with its connection, sent in chunks",
      `HTTP/1.1 403 Forbidden\r\n${date}\r\n\r\nforbidden`,
      "close",
      `HTTP/1.1 403 Forbidden\r\n${date}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nforbidden\r\n0\r\n\r\n`,
    ],
    [
      "without a body",
      `HTTP/1.1 204 No Content\r\n${date}\r\n\r\n`,
      "wait",
      `HTTP/1.1 204 No Content\r\n${date}\r\nConnection: close\r\n\r\n`,
    ],
    [
      "with the length of a body that is not sent",
      `HTTP/1.1 304 Not Modified\r\n${date}\r\nContent-Length: 10\r\n\r\n`,
      "wait",
      `HTTP/1.1 304 Not Modified\r\n${date}\r\nContent-Length: 10\r\nConnection: close\r\n\r\n`,
    ],
    [
      "without a date and a reason, after an interim response",
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n",
      "wait",
      "HTTP/1.1 599 \r\nContent-Length: 0\r\nConnection: close\r\nDate: <now>\r\n\r\n",
    ],
  ];
  it.each(cases)("%s", async (_sentence, bytes, then, wanted) => {
    const stable = await answering(bytes, then);
    const perch = await perchTo([stable.origin]);
    const answer = await answerTo(perch.port);
    expect(answer.includes("1 Jan 2026") ? answer : steady(answer)).toBe(wanted);
    await expect.poll(() => stable.sockets.every((socket) => socket.destroyed)).toBe(true);
    const [line] = await perch.outcomes(1);
    expect(line).toMatchObject({ status: Number(wanted.slice(9, 12)), attempts: 1 });
    expect(line?.["error"]).toBeUndefined();
  });

  it("has a pin, as any response", async () => {
    const stable = await upstream("stable");
    const perch = await perchTo([stable.origin], { more: "releases: { shop: { split: { stable: 1 } } }" });
    const answer = await answerTo(perch.port);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\nSet-Cookie: perch-shop=1\.1\./);
    expect(answer).toContain("hello from stable");
  });

  it("streams whole at the client's pace", { tags: ["slow"] }, async () => {
    const body = randomBytes(64 * 1024 * 1024);
    const { promise: poured, resolve } = Promise.withResolvers<Pouring>();
    const stable = await rawUpstream((socket, received) => {
      if (!received.includes(headEnd)) return;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
      resolve(new Pouring(socket, body));
    });
    const perch = await perchTo([stable.origin], { timeouts: longTimeouts });
    const client = await sent(perch.port, `${upgradeHead()}unsolicited bytes`);
    client.socket.pause();
    expect(await (await poured).stalled()).toBeGreaterThan(0);
    client.socket.resume();
    const answer = await client.read();
    expect(answer.slice(answer.indexOf(headEnd) + 4) === body.toString("latin1")).toBe(true);
    expect(await perch.outcomes(1)).toMatchObject([{ status: 200, bytesSent: body.length }]);
  });

  it("that breaks is aborted, with a length or in chunks", async () => {
    const broken = ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"];
    for (const rest of broken) {
      const stable = await answering(`HTTP/1.1 200 OK\r\n${rest}`, "close");
      const perch = await perchTo([stable.origin]);
      const answer = await answerTo(perch.port);
      expect(answer).toContain("half");
      expect(answer.endsWith("0\r\n\r\n")).toBe(false);
      expect(await perch.outcomes(1)).toMatchObject([{ status: 200, error: "upstream-reset" }]);
    }
  });

  it("that a reset cuts is aborted, without a length too", async () => {
    const stable = await rawUpstream((socket, received) => {
      if (!received.includes(headEnd)) return;
      socket.write("HTTP/1.1 200 OK\r\n\r\nhalf", () => setImmediate(() => socket.resetAndDestroy()));
    });
    const perch = await perchTo([stable.origin]);
    const answer = await answerTo(perch.port);
    expect([answer.includes("half"), answer.endsWith("0\r\n\r\n")]).toEqual([true, false]);
    expect(await perch.outcomes(1)).toMatchObject([{ status: 200, error: "upstream-reset" }]);
  });

  it("that stops is aborted at the idle timeout", { tags: ["slow"] }, async () => {
    const stable = await answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    const perch = await perchTo([stable.origin]);
    expect(await answerTo(perch.port)).toMatch(/half$/);
    expect(await perch.outcomes(1)).toMatchObject([{ status: 200, error: "upstream-timeout" }]);
  });

  it("is aborted where the client leaves", async () => {
    const stable = await answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    const perch = await perchTo([stable.origin], { timeouts: longTimeouts });
    const client = await sent(perch.port, upgradeHead() + "early".repeat(100_000));
    await client.read((received) => received.endsWith("half"));
    client.close();
    await expect.poll(() => stable.sockets[0]?.destroyed).toBe(true);
    expect(await perch.outcomes(1)).toMatchObject([{ status: 499, error: "client-closed", bytesSent: 4 }]);
  });

  it("is aborted for a client that does not read it", { tags: ["slow"] }, async () => {
    const { promise: poured, resolve } = Promise.withResolvers<Pouring>();
    const stable = await rawUpstream((socket, received) => {
      if (!received.includes(headEnd)) return;
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      resolve(new Pouring(socket, Buffer.alloc(64 * 1024 * 1024)));
    });
    // The idle limit is reached only once nothing moves, however slow the machine is before that.
    const perch = await perchTo([stable.origin], { timeouts: { ...longTimeouts, idle: "2s" } });
    const client = await sent(perch.port, upgradeHead());
    client.socket.pause();
    expect(await (await poured).stalled()).toBeGreaterThan(0);
    await expect.poll(() => stable.sockets[0]?.destroyed, soon).toBe(true);
    expect(await perch.outcomes(1)).toMatchObject([{ status: 499, error: "client-closed" }]);
    client.close();
  });
});

describe("a local reply to a handshake", () => {
  const wrong: readonly [sentence: string, sent: string, then: "close" | "wait", status: number, code: string][] = [
    ["a 101 for another protocol", switchedHead().replace("websocket", "h2c"), "wait", 502, "upstream-malformed"],
    ["a 101 that names no protocol", "HTTP/1.1 101 OK\r\n\r\n", "wait", 502, "upstream-malformed"],
    [
      "a 101 without the Connection option",
      "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n",
      "wait",
      502,
      "upstream-malformed",
    ],
    ["bytes that are not HTTP", "SSH-2.0-OpenSSH_9.9\r\n", "wait", 502, "upstream-malformed"],
    ["a head that never ends", `HTTP/1.1 200 OK\r\nX-A: ${"x".repeat(70_000)}`, "wait", 502, "upstream-malformed"],
    ["an invalid status", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", "wait", 502, "upstream-malformed"],
    ["half a head", "HTTP/1.1 200 OK\r\nX-A", "close", 502, "upstream-reset"],
    ["nothing, and closes", "", "close", 502, "upstream-reset"],
    ["nothing, and stays open", "", "wait", 504, "upstream-timeout"],
    ["only interim answers", "HTTP/1.1 100 Continue\r\n\r\n", "wait", 504, "upstream-timeout"],
  ];
  it.each(wrong)("is sent for an upstream that sends %s", async (_sentence, bytes, then, status, code) => {
    const stable = await answering(bytes, then);
    const perch = await perchTo([stable.origin]);
    const answer = steady(await answerTo(perch.port));
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [A-Z]`));
    expect(answer).toContain(`\r\nx-perch-error: ${code}\r\n`);
    expect(answer).toContain("\r\nConnection: close\r\n");
    await expect.poll(() => stable.sockets.every((socket) => socket.destroyed)).toBe(true);
    const errors = `perch_upstream_errors_total{service="shop",version="stable",kind="${code}"}`;
    expect(await perch.metric(errors)).toBe(stable.sockets.length);
    expect(await perch.outcomes(1)).toMatchObject([{ status, error: code }]);
  });

  it("is sent for endpoints that refuse, after an attempt at each", async () => {
    const perch = await perchTo([await refusedOrigin(), await refusedOrigin()]);
    const answer = steady(await answerTo(perch.port, upgradeHead(["Accept: application/json"])));
    expect(answer).toContain("\r\nx-perch-error: connect-failed\r\n");
    expect(JSON.parse(answer.slice(answer.indexOf(headEnd)))).toMatchObject({ error: "connect-failed" });
    expect(await perch.outcomes(1)).toMatchObject([{ status: 502, error: "connect-failed", attempts: 2 }]);
  });

  it("is not sent while another endpoint accepts", async () => {
    const stable = await answering(switchedHead());
    const perch = await perchTo([await refusedOrigin(), await refusedOrigin(), stable.origin]);
    // A refusing endpoint is passed over after one attempt, so a few handshakes are sure to meet both.
    let attempts = 0;
    for (let i = 0; i < 10; i++) {
      const client = await sent(perch.port, `${upgradeHead()}early`);
      expect(await client.read((received) => received.includes(headEnd))).toMatch(/^HTTP\/1\.1 101 /);
      client.close();
    }
    for (const line of await perch.outcomes(10)) {
      expect(line).toMatchObject({ status: 101, upstream: stable.origin, bytesReceived: 5 });
      attempts += Number(line["attempts"]);
    }
    expect(attempts).toBe(12);
  });

  it("is not sent where the default version serves as a fallback", async () => {
    const stable = await answering(switchedHead());
    const perch = await perchTo([stable.origin], {
      more: "releases: { shop: { split: { canary: 1, stable: 0 } } }\nexposeVersion: true",
      canary: [await refusedOrigin()],
    });
    const client = await sent(perch.port, upgradeHead());
    expect(await client.read((received) => received.includes(headEnd))).toContain("x-perch-version: stable");
    client.close();
    expect(await perch.outcomes(1)).toMatchObject([
      { status: 101, version: "stable", assigned: "canary", fallback: true },
    ]);
  });

  const refused: readonly [sentence: string, bytes: string, status: number, code: string][] = [
    ["a path without a route", upgradeHead([], "GET /other HTTP/1.1"), 404, "no-route"],
    ["a head without Host", upgradeHead().replace("Host: shop.example\r\n", ""), 400, "bad-request"],
    ["too many header lines", upgradeHead(Array(100).fill("X-A: 1")), 431, "headers-too-large"],
    ["a target that is no URI", upgradeHead([], "GET s://]ufd/: HTTP/1.1"), 400, "bad-request"],
  ];
  it.each(refused)("is sent for %s without an attempt", async (_sentence, bytes, status, code) => {
    const stable = await answering(switchedHead());
    const perch = await perchTo([stable.origin], { match: "{ path: { prefix: /chat } }" });
    const answer = await answerTo(perch.port, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*\r\nx-perch-error: ${code}\r\n`));
    expect(stable.sockets).toEqual([]);
    expect(await perch.outcomes(1)).toMatchObject([{ status, error: code, attempts: 0 }]);
  });
});

describe("a response to a handshake is judged as any other", () => {
  const ok = "HTTP/1.1 200 OK\r\n";
  const chunked = "Transfer-Encoding: chunked\r\n";
  const body = "2\r\nok\r\n0\r\n\r\n";
  it.each([
    ["a bare CR", "HTTP/1.1 200 OK\r\rContent-Length: 2\r\n\r\nok", "invalid-status-line"],
    ["an empty line before it", `\r\n${ok}Content-Length: 2\r\n\r\nok`, "invalid-status-line"],
    ["another version", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "invalid-status-line"],
    ["chunked twice", `${ok}${chunked}${chunked}\r\n${body}`, "several-transfer-encodings"],
    ["chunked, then gzip", `${ok}Transfer-Encoding: chunked, gzip\r\n\r\n${body}`, "several-transfer-encodings"],
    ["gzip", `${ok}Transfer-Encoding: gzip\r\n\r\nok`, "unsupported-transfer-encoding"],
    ["1,001 headers", `${ok}${"X: y\r\n".repeat(1_000)}Content-Length: 0\r\n\r\n`, "too-many-headers"],
    ["101 interim responses", "HTTP/1.1 102 Processing\r\n\r\n".repeat(101), "too-many-interim-responses"],
  ])("%s", async (_sentence, bytes, cause) => {
    const stable = await answering(bytes);
    const perch = await perchTo([stable.origin]);
    expect(await answerTo(perch.port)).toMatch(/^HTTP\/1\.1 502 /);
    expect(await perch.outcomes(1)).toMatchObject([{ status: 502, error: "upstream-malformed", cause }]);
  });
});

describe("any bytes of an upstream", () => {
  it("end the client's connection, and the exchange once", async () => {
    let bytesNow = "";
    const stable = await rawUpstream((socket, received) => {
      if (received.endsWith(headEnd)) socket.end(bytesNow, "latin1");
    });
    const perch = await perchTo([stable.origin]);
    const pieces = [
      "HTTP/1.1 ",
      "HTTP/1.0 ",
      "101 ",
      "200 ",
      "103 ",
      "204 ",
      "OK",
      "\r\n",
      "\r\n\r\n",
      "\n",
      "Upgrade: ",
    ];
    pieces.push(
      "websocket\r\n",
      "Connection: ",
      "Upgrade\r\n",
      "close\r\n",
      "Content-Length: ",
      "3\r\n",
      "-1",
      "abc",
      "\x00",
    );
    pieces.push(
      "Transfer-Encoding: chunked\r\n",
      "Set-Cookie: a=b\r\n",
      "__proto__: x\r\n",
      "\xe9",
      ":",
      " ",
      "0\r\n\r\n",
    );
    const switchedStart = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    const start = fc.constantFrom("", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 101 OK\r\n", switchedStart);
    const answers = fc.tuple(start, fc.array(fc.constantFrom(...pieces), { maxLength: 10 }));
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(answers, async ([first, rest]) => {
        bytesNow = first + rest.join("");
        runs++;
        const answer = await answerTo(perch.port);
        expect(answer).toMatch(/^HTTP\/1\.1 (?:101|2\d\d|50[24]) /);
      }),
      { numRuns: 150 },
    );
    expect(await perch.outcomes(runs)).toHaveLength(runs);
  });
});

describe("a handshake during a drain", () => {
  it("ends as it would; one that comes later is refused", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<Socket>();
    const stable = await rawUpstream((socket) => resolve(socket));
    const perch = await perchTo([stable.origin]);
    const idle = await sent(perch.port, "GET /chat HTTP/1.1\r\nHost: shop.exa");
    const client = await sent(perch.port, upgradeHead());
    const socket = await asked;
    const drained = perch.app.drain("test");
    await portClosed(perch.port);
    idle.send(upgradeHead().slice("GET /chat HTTP/1.1\r\nHost: shop.exa".length));
    const late = await idle.read();
    expect(late).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nx-perch-error: overloaded\r\n[\s\S]*Retry-After: 1\r\n/);
    socket.write(switchedHead());
    expect(await client.read((received) => received.includes(headEnd))).toMatch(/^HTTP\/1\.1 101 /);
    client.close();
    await once(socket, "close");
    await drained;
  });
});
