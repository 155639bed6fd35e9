import { describe, expect, it } from "vitest";
import { rawClient } from "../kit/freed.ts";
import { lanes } from "../kit/one-service.ts";
import { Edge, oneService } from "./edge.ts";

const host = "Host: shop.example\r\n";
const chunked = "Transfer-Encoding: chunked\r\n";
/** Follows each attack: a reader that takes the body for shorter than Perch does sees it as a request. */
const smuggled = `GET /smuggled HTTP/1.1\r\n${host}Connection: close\r\n\r\n`;
const post = (fields: string, body = "") => `POST / HTTP/1.1\r\n${host}${fields}\r\n${body}`;
const field = (name: string, value: string) => post(`${name}:${value}\r\n`, "hello");
const get = (target: string, fields = host) => `GET ${target} HTTP/1.1\r\n${fields}\r\n`;

const h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";

type Attack = readonly [name: string, bytes: string];

/** RFC 9112 §6, §11.2: framing that two readers may interpret differently. */
const framing: readonly Attack[] = [
  ["a length and chunks", post(`Content-Length: 5\r\n${chunked}`, "0\r\n\r\n")],
  ["chunks and a length", post(`${chunked}Content-Length: 5\r\n`, "0\r\n\r\n")],
  ["two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")],
  ["two lengths as a list", field("Content-Length", " 5, 6")],
  ["a length with a plus", field("Content-Length", " +5")],
  ["a length below zero", field("Content-Length", " -5")],
  ["a length in hexadecimal", field("Content-Length", " 0x5")],
  ["a length with a blank within", field("Content-Length", " 5 5")],
  ["a length with a fraction", field("Content-Length", " 5.0")],
  ["a length with an exponent", field("Content-Length", " 5e0")],
  ["a length with an underscore", field("Content-Length", " 1_0")],
  ["an empty length", field("Content-Length", "")],
  ["a length over 2^53", field("Content-Length", " 9007199254740993")],
  ["a length over 2^64", field("Content-Length", " 18446744073709551621")],
  ["a folded length", field("Content-Length", "\r\n 5")],
  ["a folded coding", field("Transfer-Encoding", "\r\n chunked")],
  ["a blank before the colon of a length", field("Content-Length ", " 5")],
  ["a blank before the colon of a coding", field("Transfer-Encoding ", " chunked")],
  ["a tab before the colon of a coding", field("Transfer-Encoding\t", " chunked")],
  ["a vertical tab before a coding", field("Transfer-Encoding", " \x0bchunked")],
  ["an unknown coding", field("Transfer-Encoding", " xchunked")],
  ["a coding with a parameter", field("Transfer-Encoding", " chunked;q=1")],
  ["a coding in quotes", field("Transfer-Encoding", ' "chunked"')],
  ["an empty coding", field("Transfer-Encoding", "")],
  ["identity", field("Transfer-Encoding", " identity")],
  ["gzip alone", field("Transfer-Encoding", " gzip")],
  ["gzip, then chunked", field("Transfer-Encoding", " gzip, chunked")],
  ["chunked, then gzip", field("Transfer-Encoding", " chunked, gzip")],
  ["chunked twice", field("Transfer-Encoding", " chunked, chunked")],
  ["chunked in two fields", post(chunked + chunked, "0\r\n\r\n")],
  ["chunked and identity in two fields", post(`${chunked}Transfer-Encoding: identity\r\n`, "0\r\n\r\n")],
  ["an empty element of a list", field("Transfer-Encoding", " ,chunked")],
  ["chunks in HTTP/1.0", `POST / HTTP/1.0\r\n${host}${chunked}Content-Length: 5\r\n\r\n0\r\n\r\n`],
];

/** RFC 9112 §7.1. */
const chunks: readonly Attack[] = [
  ["a size over 2^64", post(chunked, "10000000000000005\r\nhello\r\n0\r\n\r\n")],
  ["a size over 2^53", post(chunked, "20000000000001\r\nhello\r\n0\r\n\r\n")],
  ["a size with a sign", post(chunked, "+5\r\nhello\r\n0\r\n\r\n")],
  ["a size below zero", post(chunked, "-5\r\nhello\r\n0\r\n\r\n")],
  ["a size with 0x", post(chunked, "0x5\r\nhello\r\n0\r\n\r\n")],
  ["a size with an underscore", post(chunked, "0_5\r\nhello\r\n0\r\n\r\n")],
  ["no size", post(chunked, "\r\nhello\r\n0\r\n\r\n")],
  ["a blank before a size", post(chunked, " 5\r\nhello\r\n0\r\n\r\n")],
  ["a size line ended by LF", post(chunked, "5\nhello\r\n0\r\n\r\n")],
  ["a size line ended by CR", post(chunked, "5\rhello\r\n0\r\n\r\n")],
  ["a chunk longer than its size", post(chunked, "5\r\nhello!\r\n0\r\n\r\n")],
  ["a chunk ended by LF", post(chunked, "5\r\nhello\n0\r\n\r\n")],
  ["a line feed in an extension (CVE-2025-55315)", post(chunked, `5;a=\nx\r\nhello\r\n0\r\n\r\n`)],
  ["a line feed in a quoted extension", post(chunked, `5;a="\n"\r\nhello\r\n0\r\n\r\n`)],
  ["extensions without end (CVE-2024-22019)", post(chunked, `5;${"a".repeat(20_000)}\r\nhello\r\n0\r\n\r\n`)],
  ["a length as a trailer", post(chunked, "0\r\nContent-Length: 5\r\n\r\n")],
  ["a coding as a trailer", post(chunked, "0\r\nTransfer-Encoding: chunked\r\n\r\n")],
  ["a folded trailer", post(chunked, "0\r\nX-A: 1\r\n 2\r\n\r\n")],
  ["a trailer without a colon", post(chunked, "0\r\nnonsense\r\n\r\n")],
];

/** RFC 9112 §2.2, §3, §5. */
const heads: readonly Attack[] = [
  ["a bare LF behind the request line", `GET / HTTP/1.1\n${host}\r\n`],
  ["a bare LF behind a field", "GET / HTTP/1.1\r\nHost: shop.example\n\r\n"],
  ["a bare CR in a value", get("/", `${host}X-A: a\rContent-Length: 5\r\n`)],
  ["a NUL in a value", get("/", `${host}X-A: a\0b\r\n`)],
  ["a NUL in a name", get("/", `${host}X\0A: a\r\n`)],
  ["a NUL in the target", get("/a\0b")],
  ["a folded field", get("/", `${host}X-A: a\r\n b\r\n`)],
  ["an empty name", get("/", `${host}: a\r\n`)],
  ["a line without a colon", get("/", `${host}X-A\r\n`)],
  ["a blank before the first field", `GET / HTTP/1.1\r\n X-A: 1\r\n${host}\r\n`],
  ["no Host", get("/", "")],
  ["two Hosts", get("/", "Host: a\r\nHost: b\r\n")],
  ["two Hosts that agree", get("/", host + host)],
  ["a Host with a blank", get("/", "Host: a b\r\n")],
  ["a Host with a path", get("/", "Host: a/b\r\n")],
  ["a Host with user information", get("/", "Host: a@b\r\n")],
  ["a list of Hosts", get("/", "Host: a, b\r\n")],
  ["an incomplete IPv6 address as Host", get("/", "Host: [::1\r\n")],
  ["a Host with an invalid port", get("/", "Host: a:80x\r\n")],
  ["asterisk-form with GET", get("*")],
  ["authority-form with GET", get("shop.example:80")],
  ["a target without a slash", get("index.html")],
  ["an absolute form without a host", get("http:///")],
  ["an absolute form of another scheme", get("ftp://shop.example/")],
  ["an absolute form with user information", get("http://a@shop.example/")],
  ["a target that broke a proxy's URL parser", `PUT s://]ufd/: HTTP/1.1\r\n${host}\r\n`],
  ["a fragment", get("/a#b")],
  ["CONNECT", `CONNECT shop.example:443 HTTP/1.1\r\n${host}\r\n`],
  ["HTTP/2.0 in a request line", `GET / HTTP/2.0\r\n${host}\r\n`],
  ["HTTP/0.9", "GET /\r\n"],
  ["HTTP/1.10", `GET / HTTP/1.10\r\n${host}\r\n`],
  ["RTSP with a method of HTTP", `OPTIONS / RTSP/1.0\r\n${host}\r\n`],
  ["RTSP, GET", `GET / RTSP/1.0\r\n${host}\r\n`],
  ["RTSP with its own method", `ANNOUNCE / RTSP/1.0\r\n${host}\r\n`],
  ["ICE", `SOURCE /music ICE/1.0\r\n${host}\r\n`],
];

/** Valid forms, and the requests that the upstream should receive. */
const valid: readonly (readonly [name: string, bytes: string, wanted: readonly string[]])[] = [
  ["a length", post("Content-Length: 5\r\n", "hello"), ["POST / hello"]],
  ["chunks", post(chunked, "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"), ["POST / hello!"]],
  ["chunks, in capitals", post("TRANSFER-ENCODING: CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n"), ["POST / hello"]],
  ["extensions of chunks", post(chunked, '5;a="b;c"\r\nhello\r\n0;d\r\n\r\n'), ["POST / hello"]],
  ["trailers", post(chunked, "5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n"), ["POST / hello"]],
  [
    "a body that looks like a request",
    post(`Content-Length: ${smuggled.length}\r\n`, smuggled),
    [`POST / ${smuggled}`],
  ],
  ["an absolute form", get("http://shop.example/a?b"), ["GET /a?b "]],
  [
    "further requests in one packet",
    get("/1") + post("Content-Length: 1\r\n", "x") + get("/2"),
    ["GET /1 ", "POST / x", "GET /2 "],
  ],
  ["a Trailer field without a body", get("/", `${host}Trailer: X-A\r\n`), ["GET / "]],
];

describe.each(lanes)("request smuggling, in the $lane lane", ({ fastLane }) => {
  const edge = Edge.forSuite(oneService(fastLane));

  it.each([...framing, ...chunks, ...heads])("is refused, and the connection closed: %s", async (_name, bytes) => {
    const { statuses, received, requests, problems } = await edge.attack(bytes + smuggled);
    expect([statuses.length, requests, problems], received).toEqual([1, [], []]);
    expect(statuses[0]).toSatisfy((status: number) => [400, 408, 413, 431].includes(status));
    expect(received).toMatch(/\r\nConnection: close\r\n/i);
  });

  it.each(valid)("is forwarded in one form: %s", async (_name, bytes, wanted) => {
    const last = `GET /last HTTP/1.1\r\n${host}Connection: close\r\n\r\n`;
    const { statuses, requests, problems } = await edge.attack(bytes + last);
    expect(problems).toEqual([]);
    expect(requests.map(({ startLine, body }) => `${startLine.slice(0, -"HTTP/1.1".length)}${body}`).sort()).toEqual(
      [...wanted, "GET /last "].sort(),
    );
    expect(statuses).toEqual([...wanted, ""].map(() => 200));
  });

  it.each([
    ["GET", get("/", `${host}${h2c}`)],
    ["a POST with a length", post(`${h2c}Content-Length: 5\r\n`, "hello")],
    ["a POST of chunks", post(`${h2c}${chunked}`, "5\r\nhello\r\n0\r\n\r\n")],
  ])("an upgrade that is not accepted swallows no bytes of the next request: %s", async (_name, bytes) => {
    const client = await rawClient(edge.port);
    client.send(`${bytes}POST /second HTTP/1.1\r\n${host}Content-Length: ${smuggled.length}\r\n\r\n`);
    client.send(smuggled);
    const received = await client.read();
    client.close();
    const { requests } = await edge.attack(get("/last", `${host}Connection: close\r\n`));
    expect(requests.map(({ startLine }) => startLine)).not.toContain("GET /smuggled HTTP/1.1");
    expect(received).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nConnection: close\r\n/i);
  });

  it("an upgrade that is not accepted leaves the connection open where no bytes follow", async () => {
    const client = await rawClient(edge.port);
    for (const bytes of [get("/", `${host}${h2c}`), post(`${h2c}Content-Length: 5\r\n`, "hello")]) {
      client.received = "";
      client.send(bytes);
      expect(await client.read((received) => received.endsWith("ok"))).toMatch(/\r\nConnection: keep-alive\r\n/i);
    }
    client.close();
    await edge.attack(get("/last", `${host}Connection: close\r\n`));
  });

  it.each([
    ["in one packet", ""],
    ["that asks to be kept", "Connection: keep-alive\r\n"],
    ["of chunks that are empty", "Connection: keep-alive\r\n"],
  ])("an HTTP/1.0 request with chunks %s is the last on its connection (RFC 9112 §6.1)", async (name, fields) => {
    const body = name.includes("empty") ? "0\r\n\r\n" : "5\r\nhello\r\n0\r\n\r\n";
    const bytes = `POST / HTTP/1.0\r\n${host}${fields}${chunked}\r\n${body}`;
    const { statuses, requests, received } = await edge.attack(bytes + smuggled);
    expect([statuses, requests.map(({ startLine }) => startLine)], received).toEqual([[200], ["POST / HTTP/1.1"]]);
    expect(received).toMatch(/\r\nConnection: close\r\n/i);
  });

  it("bytes after a request with Connection: close are ignored, and its response arrives", async () => {
    for (const more of [smuggled, "garbage\r\n\r\n", "\0\0"]) {
      const { statuses, requests } = await edge.attack(get("/", `${host}Connection: close\r\n`) + more);
      expect([statuses, requests.length]).toEqual([[200], 1]);
    }
  });

  it("fields over Node's limit do not drop a Content-Length (CVE-2026-58044)", async () => {
    for (const count of [101, 1_000, 2_001, 3_000]) {
      const many = "X: y\r\n".repeat(count);
      const { statuses, requests } = await edge.attack(post(`${many}Content-Length: ${smuggled.length}\r\n`, smuggled));
      expect([statuses, requests]).toEqual([[431], []]);
    }
  });

  it("leaves a healthy process without connections", async () => {
    expect((await edge.perch.admin("/livez")).status).toBe(200);
    await expect.poll(() => edge.perch.metric('perch_connections{listener="web"}')).toBe(0);
  });
});
