import { describe, expect, it } from "vitest";
import { ResponseParser } from "../../../src/proxy/http1/response-parser.ts";
import { defaultResponseHead } from "../../../src/upstream/service-spec.ts";

function read(text: string) {
  const reader = new ResponseParser();
  const bytes = Buffer.from(`..${text}..`, "latin1");
  return { reader, outcome: reader.read(bytes, 2, bytes.length - 2, defaultResponseHead) };
}

const ok = "HTTP/1.1 200 OK\r\n";

describe("well-formed heads", () => {
  const heads: readonly [sentence: string, text: string, wanted: object][] = [
    ["a length", `${ok}Content-Length: 12\r\n\r\n`, { status: 200, contentLength: 12, chunked: false, closing: false }],
    ["chunks", `${ok}transfer-encoding: Chunked\r\n\r\n`, { chunked: true, contentLength: undefined }],
    ["neither", `${ok}\r\n`, { chunked: false, contentLength: undefined }],
    ["a close", `${ok}Connection: close\r\n\r\n`, { closing: true, namesFields: false }],
    ["a close and a keep-alive", `${ok}Connection: keep-alive\r\nConnection: Close\r\n\r\n`, { closing: true }],
    ["a close before a keep-alive", `${ok}Connection: close\r\nConnection: keep-alive\r\n\r\n`, { closing: true }],
    ["a close among names", `${ok}Connection: X-A, Close\r\n\r\n`, { closing: true, namesFields: true }],
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", { closing: true }],
    ["HTTP/1.0 that is kept", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", { closing: false }],
    ["a date", `${ok}DATE: x\r\n\r\n`, { hasDate: true }],
    ["no date", `${ok}X-Date: x\r\n\r\n`, { hasDate: false }],
    ["an announced end", `${ok}Keep-Alive: timeout=5, max=100\r\n\r\n`, { keepAliveSeconds: 5 }],
    ["an announced end behind another parameter", `${ok}Keep-Alive: max=3,timeout=7\r\n\r\n`, { keepAliveSeconds: 7 }],
    ["another parameter that ends in timeout", `${ok}Keep-Alive: xtimeout=7\r\n\r\n`, { keepAliveSeconds: undefined }],
    ["an empty reason", "HTTP/1.1 204 \r\n\r\n", { status: 204, plainReason: true }],
    ["no reason", "HTTP/1.1 204\r\n\r\n", { status: 204 }],
    ["a reason with bytes above ASCII", "HTTP/1.1 200 \xd6K\r\n\r\n", { plainReason: false }],
    ["a reason with a control byte", "HTTP/1.1 200 O\x01K\r\n\r\n", { plainReason: false }],
    ["an interim response", "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", { status: 103 }],
  ];
  it.each(heads)("%s", (_sentence, text, wanted) => {
    const { reader, outcome } = read(text);
    expect(outcome).toBe("complete");
    expect(reader).toMatchObject(wanted);
    expect(reader.end).toBe(2 + text.length);
  });

  it("every prefix is incomplete", () => {
    for (const [, text] of heads) {
      for (let length = 1; length < text.length; length++) {
        expect([text.slice(0, length), read(text.slice(0, length)).outcome]).toEqual([
          text.slice(0, length),
          "incomplete",
        ]);
      }
    }
  });

  it("fields are returned unchanged", () => {
    const { reader } = read(`${ok}A:b\r\nC: \t d \r\nE:\r\n\r\n`);
    expect(reader.flat()).toEqual(["A", "b", "C", "d", "E", ""]);
  });

  it("one head leaves nothing behind for the next", () => {
    const reader = new ResponseParser();
    const all =
      "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: close, x\r\nKeep-Alive: timeout=1\r\nDate: x\r\n\r\n";
    for (const text of [all, `${ok}Transfer-Encoding: chunked\r\n\r\n`]) {
      expect(reader.read(Buffer.from(text), 0, text.length, defaultResponseHead)).toBe("complete");
    }
    expect(reader).toMatchObject({
      contentLength: undefined,
      chunked: true,
      closing: false,
      namesFields: false,
      hasDate: false,
      keepAliveSeconds: undefined,
    });
  });
});

describe("malformed heads", () => {
  it.each([
    ["another protocol", "ICY 200 OK\r\n\r\n", "invalid-status-line"],
    ["a head behind the rest of another response", "\r\nHTTP/1.1 200 OK\r\n\r\n", "invalid-status-line"],
    ["HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", "invalid-status-line"],
    ["HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", "invalid-status-line"],
    ["a version without its point", "HTTP/11 200 OK\r\n\r\n", "invalid-status-line"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "invalid-status-line"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "invalid-status-line"],
    ["a status that is no number", "HTTP/1.1 2x0 OK\r\n\r\n", "invalid-status-line"],
    ["two blanks before the status", "HTTP/1.1  200 OK\r\n\r\n", "invalid-status-line"],
    ["a bare line feed behind the status line", "HTTP/1.1 200 OK\nA: b\r\n\r\n", "invalid-status-line"],
    ["a bare carriage return in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", "invalid-status-line"],
    ["a blank before a colon", `${ok}Content-Length : 5\r\n\r\n`, "invalid-header-name"],
    ["a folded field", `${ok}A: b\r\n c\r\n\r\n`, "folded-header"],
    ["a NUL", `${ok}A: b\0\r\n\r\n`, "invalid-header-value"],
    ["two lengths", `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, "conflicting-lengths"],
    ["a length twice", `${ok}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`, "conflicting-lengths"],
    ["a length and chunks", `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, "length-and-chunks"],
    ["chunks and a length", `${ok}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n`, "length-and-chunks"],
    ["a list of lengths", `${ok}Content-Length: 1, 1\r\n\r\n`, "invalid-content-length"],
    ["a signed length", `${ok}Content-Length: +1\r\n\r\n`, "invalid-content-length"],
    [
      "a length over what a number holds exactly",
      `${ok}Content-Length: 9007199254740993\r\n\r\n`,
      "invalid-content-length",
    ],
    ["an empty length", `${ok}Content-Length:\r\n\r\n`, "invalid-content-length"],
    ["another coding", `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`, "several-transfer-encodings"],
    [
      "chunks twice",
      `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
      "several-transfer-encodings",
    ],
    ["a head without end", `${ok}A: ${"b".repeat(defaultResponseHead.bytes)}`, "head-too-large"],
    ["a head that is too large", `${ok}A: ${"b".repeat(defaultResponseHead.bytes)}\r\n\r\n`, "head-too-large"],
    ["no name", `${ok}: b\r\n\r\n`, "invalid-header-name"],
    ["no colon", `${ok}A\r\n\r\n`, "invalid-header-name"],
    ["a fold of the first field", `${ok} A: b\r\n\r\n`, "folded-header"],
    ["a bare carriage return in a value", `${ok}A: b\rc\r\n\r\n`, "invalid-line-ending"],
    ["a bare line feed behind a field", `${ok}A: b\nC: d\r\n\r\n`, "invalid-line-ending"],
    ["a bare line feed at the end", `${ok}A: b\r\n\n`, "invalid-header-name"],
    ["a carriage return at the end", `${ok}A: b\r\n\rX`, "invalid-line-ending"],
    ["gzip alone", `${ok}Transfer-Encoding: gzip\r\n\r\n`, "unsupported-transfer-encoding"],
    ["a coding before a fault", `${ok}Transfer-Encoding: gzip\r\nA : b\r\n\r\n`, "invalid-header-name"],
    ["a fault before many lines of a body", `${ok}A : b\r\n\r\n${"\r\n".repeat(2_000)}`, "invalid-header-name"],
    ["1,001 fields", `${ok}${"A: b\r\n".repeat(1_001)}\r\n`, "too-many-headers"],
    ["more fields than the scanner holds", `${ok}${"A:\r\n".repeat(10_001)}\r\n`, "too-many-headers"],
    ["more bytes and fields", `${ok}${"A: b\r\n".repeat(20_000)}\r\n`, "too-many-headers"],
  ])("%s", (_sentence, text, cause) => {
    const { reader, outcome } = read(text);
    expect([outcome, reader.cause]).toEqual(["malformed", cause]);
  });
});

it("a thousand fields and a raised limit are read", () => {
  const reader = new ResponseParser();
  const text = `${ok}${"A: b\r\n".repeat(5_000)}\r\n`;
  const limits = { bytes: 64 * 1024, fields: 5_000 };
  expect(reader.read(Buffer.from(text), 0, text.length, limits)).toBe("complete");
  expect([reader.scan.count, reader.name(4_999), reader.value(4_999)]).toEqual([5_000, "A", "b"]);
});
