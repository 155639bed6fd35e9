/** @module-tag slow */
import { describe, expect, it } from "vitest";
import { perch, rawClient, rawUpstream, upstream } from "../kit/freed.ts";
import { exchange, lanes, perchIn, upstreamErrors } from "../kit/one-service.ts";
import { refusedOrigin } from "../kit/upstream.ts";

describe.each(lanes)("local replies to errors, in the $lane lane", ({ fastLane }) => {
  const perchTo = perchIn(fastLane);

  it("have the code in x-perch-error, are text or JSON, and do not name the upstream", async () => {
    const dead = await refusedOrigin();
    const { origin } = await perchTo(dead);
    const text = await fetch(origin);
    expect([text.status, text.headers.get("x-perch-error")]).toEqual([502, "connect-failed"]);
    expect(text.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    const json = await fetch(origin, { headers: { accept: "application/json" } });
    const body = await json.text();
    expect(JSON.parse(body)).toMatchObject({ error: "connect-failed", requestId: json.headers.get("x-request-id") });
    expect(body + (await text.text())).not.toContain(new URL(dead).port);
  });

  const bothLengths = "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  const badRequests: readonly [sentence: string, bytes: string, status: number, code: string][] = [
    ["no Host", "GET / HTTP/1.1\r\n\r\n", 400, "bad-request"],
    ["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "bad-request"],
    ["a malformed Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad-request"],
    ["a Host with user information", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "bad-request"],
    ["a target that is no path", "GET foo HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"],
    ["a scheme that is not http", "PUT s://]ufd/: HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"],
    ["HTTP/2.0 in the request line", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400, "bad-request"],
    ["a length and a coding", `POST / HTTP/1.1\r\nHost: a\r\n${bothLengths}`, 400, "bad-request"],
    ["garbage", "\x16\x03\x01\x02garbage\r\n\r\n", 400, "bad-request"],
    ["CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 400, "bad-request"],
    ["too many fields", `GET / HTTP/1.1\r\nHost: a\r\n${"X: 1\r\n".repeat(100)}\r\n`, 431, "headers-too-large"],
    ["too large a head", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(40_000)}\r\n\r\n`, 431, "headers-too-large"],
    [
      "a coding other than chunked",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      400,
      "bad-request",
    ],
    ["a fragment", "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"],
    ["an unknown expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417, "expectation-failed"],
  ];
  it.each(badRequests)("%s: refused, counted, and the connection closed", async (_sentence, bytes, status, code) => {
    const stable = await upstream("stable");
    const { port, admin } = await perchTo(stable.origin);
    const all = await exchange(port, bytes);
    expect(all).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(all).toContain(`x-perch-error: ${code}\r\n`);
    expect(all).toContain("Connection: close\r\n");
    expect(stable.seen).toEqual([]);
    const exported = await (await admin("/metrics")).text();
    expect(exported).toMatch(new RegExp(`perch_requests_total\\{route="none",[^}]*code="${status}"[^}]*\\} 1\n`));
  });

  it("no route: 404, and the connection is kept", async () => {
    const stable = await upstream("stable");
    const { port } = await perch(`
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] } } } }
routes: [{ name: api, match: { path: { prefix: /api } }, service: shop }]`);
    const client = await rawClient(port);
    client.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
    const answer = await client.read((all) => all.includes("\r\n\r\n"));
    expect(answer).toMatch(/404[\s\S]*Connection: keep-alive[\s\S]*x-perch-error: no-route/);
  });

  const brokenUpstreams: readonly [sentence: string, answer: string, status: number, code: string][] = [
    ["closes without an answer", "", 502, "upstream-reset"],
    [
      "answers a coding other than chunked",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      502,
      "upstream-malformed",
    ],
    ["answers garbage", "nonsense\r\n\r\n", 502, "upstream-malformed"],
    [
      "answers two lengths",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      502,
      "upstream-malformed",
    ],
    ["answers a NUL", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n", 502, "upstream-malformed"],
    [
      "switches protocols without an upgrade",
      "HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
      502,
      "upstream-malformed",
    ],
  ];
  it.each(brokenUpstreams)("an upstream that %s", async (_sentence, answer, status, code) => {
    const raw = await rawUpstream((socket, received) => {
      if (received.includes("\r\n\r\n")) socket.end(answer, "latin1");
    });
    const response = await fetch((await perchTo(raw.origin)).origin, { method: "POST", body: "x" });
    expect([response.status, response.headers.get("x-perch-error")]).toEqual([status, code]);
  });

  it("an upstream that does not respond: 504 after the response-headers timeout", { tags: ["slow"] }, async () => {
    const raw = await rawUpstream(() => {});
    const { origin, metric } = await perchTo(raw.origin);
    const response = await fetch(origin);
    expect([response.status, response.headers.get("x-perch-error")]).toEqual([504, "upstream-timeout"]);
    expect(await metric(upstreamErrors("upstream-timeout"))).toBe(1);
  });

  it("a large upload over the limit gets its whole 413, also a client that reads only after the upload", {
    tags: ["slow"],
  }, async () => {
    const stable = await upstream("stable");
    const { port } = await perchTo(stable.origin, "limits: { body: 1MiB }");
    for (const framing of ["Content-Length: 26214400", "Transfer-Encoding: chunked"]) {
      const client = await rawClient(port);
      client.socket.pause();
      const body = "x".repeat(26_214_400);
      client.send(
        `POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${framing.startsWith("T") ? "1900000\r\n" : ""}${body}`,
      );
      await new Promise<void>((resolve) => client.socket.once("drain", resolve));
      client.socket.resume();
      expect(await client.read()).toMatch(/^HTTP\/1\.1 413 [\s\S]*body-too-large/);
    }
  });

  it("an early response does not stop the client's upload", async () => {
    const raw = await rawUpstream((socket, received) => {
      if (!received.includes("\r\n\r\n")) return;
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      socket.pause();
    });
    const client = await rawClient((await perchTo(raw.origin)).port);
    const size = 50 * 1024 * 1024;
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    client.send("x".repeat(size));
    client.send("GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect((await client.read()).match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  });

  it("a body over the limit: 413, by its length or while it comes", { tags: ["slow"] }, async () => {
    const stable = await upstream("stable");
    const { origin, port } = await perchTo(stable.origin, "limits: { body: 1KiB }");
    const sized = await fetch(origin, { method: "POST", body: "x".repeat(1025) });
    expect([sized.status, sized.headers.get("x-perch-error")]).toEqual([413, "body-too-large"]);
    const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect(await exchange(port, `${chunked}800\r\n${"x".repeat(2048)}\r\n`)).toMatch(
      /^HTTP\/1\.1 413 [\s\S]*Connection: close/,
    );
    expect((await fetch(origin, { method: "POST", body: "x".repeat(1024) })).status).toBe(200);
  });
});
