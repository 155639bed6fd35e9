import { describe, expect, it, test } from "vitest";
import { ResponseParser, responseHeadBytes } from "../../../src/proxy/fast/response-parser.ts";
import { rawUpstream } from "../../kit/freed.ts";
import { perchTo } from "../../kit/one-service.ts";
import { RawClient } from "../../kit/raw-client.ts";

function read(text: string) {
  const reader = new ResponseParser();
  const bytes = Buffer.from(`..${text}..`, "latin1");
  return { reader, outcome: reader.read(bytes, 2, bytes.length - 2) };
}

const ok = "HTTP/1.1 200 OK\r\n";

describe("heads that are understood", () => {
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
    ["an announced end behind another word", `${ok}Keep-Alive: max=3,timeout=7\r\n\r\n`, { keepAliveSeconds: 7 }],
    ["another word that ends alike", `${ok}Keep-Alive: xtimeout=7\r\n\r\n`, { keepAliveSeconds: undefined }],
    ["an empty reason", "HTTP/1.1 204 \r\n\r\n", { status: 204, plainReason: true }],
    ["no reason", "HTTP/1.1 204\r\n\r\n", { status: 204 }],
    ["a reason beyond ASCII", "HTTP/1.1 200 \xd6K\r\n\r\n", { plainReason: false }],
    ["a reason with a control byte", "HTTP/1.1 200 O\x01K\r\n\r\n", { plainReason: false }],
    ["an interim answer", "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", { status: 103 }],
  ];
  it.each(heads)("%s", (_sentence, text, wanted) => {
    const { reader, outcome } = read(text);
    expect(outcome).toBe("complete");
    expect(reader).toMatchObject(wanted);
    expect(reader.end).toBe(2 + text.length);
  });

  it("every beginning is incomplete", () => {
    for (const [, text] of heads) {
      for (let length = 1; length < text.length; length++) {
        expect([text.slice(0, length), read(text.slice(0, length)).outcome]).toEqual([
          text.slice(0, length),
          "incomplete",
        ]);
      }
    }
  });

  it("fields are told as they came", () => {
    const { reader } = read(`${ok}A:b\r\nC: \t d \r\nE:\r\n\r\n`);
    expect(reader.flat()).toEqual(["A", "b", "C", "d", "E", ""]);
  });

  it("one head leaves nothing behind for the next", () => {
    const reader = new ResponseParser();
    const all =
      "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: close, x\r\nKeep-Alive: timeout=1\r\nDate: x\r\n\r\n";
    for (const text of [all, `${ok}Transfer-Encoding: chunked\r\n\r\n`]) {
      expect(reader.read(Buffer.from(text), 0, text.length)).toBe("complete");
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

describe("heads that poison whoever believes them", () => {
  it.each([
    ["another protocol", "ICY 200 OK\r\n\r\n"],
    ["an answer that starts with the rest of another", "\r\nHTTP/1.1 200 OK\r\n\r\n"],
    ["HTTP/2", "HTTP/2.0 200 OK\r\n\r\n"],
    ["HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n"],
    ["a version without its point", "HTTP/11 200 OK\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["a status that is no number", "HTTP/1.1 2x0 OK\r\n\r\n"],
    ["two blanks before the status", "HTTP/1.1  200 OK\r\n\r\n"],
    ["a bare line feed behind the status line", "HTTP/1.1 200 OK\nA: b\r\n\r\n"],
    ["a bare carriage return in the reason", "HTTP/1.1 200 O\rK\r\n\r\n"],
    ["a blank before a colon", `${ok}Content-Length : 5\r\n\r\n`],
    ["a folded field", `${ok}A: b\r\n c\r\n\r\n`],
    ["a NUL", `${ok}A: b\0\r\n\r\n`],
    ["two lengths", `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`],
    ["a length twice", `${ok}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`],
    ["a length and chunks", `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ["chunks and a length", `${ok}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n`],
    ["a list of lengths", `${ok}Content-Length: 1, 1\r\n\r\n`],
    ["a signed length", `${ok}Content-Length: +1\r\n\r\n`],
    ["a length beyond what a number holds", `${ok}Content-Length: 9007199254740993\r\n\r\n`],
    ["an empty length", `${ok}Content-Length:\r\n\r\n`],
    ["another coding", `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    ["chunks twice", `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ["a head without end", `${ok}A: ${"b".repeat(responseHeadBytes)}`],
    ["a head that is too large", `${ok}A: ${"b".repeat(responseHeadBytes)}\r\n\r\n`],
  ])("malformed: %s", (_sentence, text) => {
    expect(read(text).outcome).toBe("malformed");
  });
});

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
