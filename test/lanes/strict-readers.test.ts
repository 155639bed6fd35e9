import { describe, expect, it } from "vitest";
import { readStrictRequest } from "../kit/strict-request.ts";
import { readStrictResponse } from "../kit/strict-response.ts";

/** The suite is as strict as its readers, which have their own table. */
const head = "GET / HTTP/1.1\r\nhost: a\r\n";
const ok = "HTTP/1.1 200 OK\r\n";

describe("the reader of requests", () => {
  it.each([
    ["no body", `${head}\r\n`, "none", ""],
    ["a length", `${head}content-length: 2\r\n\r\nhi`, "length", "hi"],
    [
      "chunks",
      `${head}transfer-encoding: chunked\r\n\r\n1\r\nh\r\nA\r\n0123456789\r\n0\r\n\r\n`,
      "chunked",
      "h0123456789",
    ],
    ["obs-text", `${head}x: \xe9\x80\r\n\r\n`, "none", ""],
  ])("takes %s", (_what, bytes, framing, body) => {
    expect(readStrictRequest(bytes, 0)).toMatchObject({
      kind: "complete",
      end: bytes.length,
      message: { framing, body },
    });
  });

  it.each([
    ["a bare LF", "GET / HTTP/1.1\nhost: a\n\n", "bare LF"],
    ["a bare CR", `${head}x: a\rb\r\n\r\n`, "bare CR"],
    ["a fold", `${head}x: a\r\n b\r\n\r\n`, "obs-fold"],
    ["a blank before a colon", `${head}x : a\r\n\r\n`, "blank before the colon"],
    ["a name that is no token", `${head}x(: a\r\n\r\n`, "field name"],
    ["no colon", `${head}x\r\n\r\n`, "no colon"],
    ["a NUL", `${head}x: a\0\r\n\r\n`, "control byte"],
    ["DEL", `${head}x: a\x7f\r\n\r\n`, "control byte"],
    ["no Host", "GET / HTTP/1.1\r\n\r\n", "0 Host"],
    ["two Hosts", `${head}Host: a\r\n\r\n`, "2 Host"],
    ["two lengths", `${head}content-length: 2\r\nContent-Length: 2\r\n\r\nhi`, "several Content-Length"],
    ["a length and chunks", `${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, "beside"],
    ["a signed length", `${head}content-length: +2\r\n\r\nhi`, "Content-Length"],
    ["another coding", `${head}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, "Transfer-Encoding"],
    ["a chunk extension", `${head}transfer-encoding: chunked\r\n\r\n1;a\r\nh\r\n0\r\n\r\n`, "chunk size"],
    ["a chunk that is too long", `${head}transfer-encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n`, "after a chunk"],
    ["trailers", `${head}transfer-encoding: chunked\r\n\r\n0\r\nx: 1\r\n\r\n`, "trailers"],
    ["another version", "GET / HTTP/1.0\r\nhost: a\r\n\r\n", "version"],
    ["an absolute target", "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n", "target"],
    ["two blanks", "GET  / HTTP/1.1\r\nhost: a\r\n\r\n", "request line"],
    ["an empty line first", `\r\n${head}\r\n`, "request line"],
  ])("refuses %s", (_what, bytes, problem) => {
    const reading = readStrictRequest(bytes, 0);
    expect(reading.kind === "malformed" ? reading.problem : reading.kind).toContain(problem);
  });

  it("waits for what has not come, at every boundary", () => {
    const bytes = `${head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`;
    for (let to = 0; to < bytes.length; to++) {
      expect(readStrictRequest(bytes.slice(0, to), 0).kind, bytes.slice(0, to)).toBe("incomplete");
    }
  });
});

describe("the reader of responses", () => {
  it.each([
    ["to HEAD nothing", "HEAD", `${ok}content-length: 5\r\n\r\n`, "none", ""],
    ["a 204", "GET", "HTTP/1.1 204 \r\n\r\n", "none", ""],
    ["a 304 with a length", "GET", "HTTP/1.1 304 R\r\ncontent-length: 5\r\n\r\n", "none", ""],
    ["an interim one", "GET", "HTTP/1.1 103 E\r\nlink: x\r\n\r\n", "none", ""],
    ["trailers", "GET", `${ok}transfer-encoding: chunked\r\n\r\n1\r\nh\r\n0\r\nx: 1\r\n\r\n`, "chunked", "h"],
  ])("takes %s", (_what, method, bytes, framing, body) => {
    const reading = readStrictResponse(bytes, 0, method);
    expect(reading).toMatchObject({ kind: "complete", end: bytes.length, message: { framing, body } });
  });

  it.each([
    ["another version", "HTTP/1.0 200 OK\r\n\r\n", "status line"],
    ["no blank after the status", "HTTP/1.1 200\r\n\r\n", "status line"],
    ["obs-text in the reason", "HTTP/1.1 200 \xe9\r\n\r\n", "status line"],
    ["chunks with a 204", "HTTP/1.1 204 R\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "chunks with a 204"],
  ])("refuses %s", (_what, bytes, problem) => {
    const reading = readStrictResponse(bytes, 0, "GET");
    expect(reading.kind === "malformed" ? reading.problem : reading.kind).toContain(problem);
  });

  it("does not take a body until close for whole", () => {
    expect(readStrictResponse(`${ok}\r\nbody`, 0, "GET")).toMatchObject({
      kind: "incomplete",
      soFar: { body: "body" },
    });
  });
});
