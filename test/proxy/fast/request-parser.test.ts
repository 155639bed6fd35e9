import { describe, expect, it } from "vitest";
import { CookieNames } from "../../../src/http/cookies.ts";
import { normalPath } from "../../../src/http/path.ts";
import { FastHead } from "../../../src/proxy/fast/fast-head.ts";
import { RequestParser } from "../../../src/proxy/fast/request-parser.ts";
import { incomplete, irregular } from "../../../src/proxy/http1/header-scanner.ts";
import { snapshotOf } from "../../kit/snapshot.ts";

const snapshot = snapshotOf(`
limits: { headers: 8KiB, headerCount: 20 }
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] } } } }
routes: [{ name: all, service: shop }]
`);

/** Reads a head from the middle of a buffer, as where it holds several. */
function read(text: string) {
  const reader = new RequestParser();
  const bytes = Buffer.from(`before${text}after`, "latin1");
  const from = "before".length;
  const head = new FastHead(reader);
  const end = reader.read(bytes, from, from + Buffer.byteLength(text, "latin1"), snapshot, head);
  return { reader, from, head: end < 0 ? end : head };
}

describe("the cookies of a name as bytes", () => {
  const names = Array.from({ length: 70 }, (_, at) => `pin-${at}`);

  it.each([
    [64, 63, "value-63"],
    [70, 69, "undefined"],
  ])("of %i cookies of Perch, number %i: %s; undefined leaves it to the text", (count, at, wanted) => {
    const cookies = names.slice(0, count).map((name, value) => `${name}=value-${value}`);
    const { head } = read(`GET / HTTP/1.1\r\nHost: x\r\nCookie: ${cookies.join("; ")}\r\n\r\n`);
    if (typeof head === "number") throw new Error("irregular");
    head.cookieNames = new CookieNames(names);
    const found = head.cookieBytes(`pin-${at}`);
    const value = found && Buffer.from(found.bytes).toString("latin1", found.places[0], found.places[1]);
    expect([String(value), found?.count ?? 1]).toEqual([wanted, 1]);
  });
});

describe("a path's form", () => {
  const paths: readonly [path: string, plain: boolean][] = [
    ["/", true],
    ["/a/b.c/d", true],
    ["/a.", true],
    ["/a/", true],
    ["/a//b", false],
    ["//", false],
    ["/.well-known/x", false],
    ["/a/..", false],
    ["/a%20b", false],
    ["/a\\b", false],
  ];
  it.each(paths)("%s is plain: %s", (path, plain) => {
    for (const query of ["", "?", "?a=%2F//./", "?a?b"]) {
      const { head } = read(`GET ${path}${query} HTTP/1.1\r\nHost: x\r\n\r\n`);
      expect(head).toMatchObject({ path, query: query.slice(1), target: `${path}${query}`, pathIsPlain: plain });
    }
  });

  it("a query with an escape is not plain", () => {
    const plain = (query: string) => {
      const { head } = read(`GET /${query} HTTP/1.1\r\nHost: x\r\n\r\n`);
      return typeof head === "number" ? undefined : head.queryIsPlain;
    };
    expect(["", "?", "?a=b&c", "?a?b"].map(plain)).toEqual([true, true, true, true]);
    expect(["?a%20b", "?a=b+c", "?+", "?%"].map(plain)).toEqual([false, false, false, false]);
  });

  it("that is plain is the normal form, for any path", { tags: ["slow"] }, () => {
    const parts = ["/", "/", ".", "..", "%", "%2f", "%41", "\\", "a", "b=c", "~", ";"];
    let plain = 0;
    for (let number = 0; number < parts.length ** 4; number++) {
      let path = "/";
      for (let rest = number, at = 0; at < 4; at++, rest = Math.floor(rest / parts.length))
        path += parts[rest % parts.length];
      const { head } = read(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      if (typeof head === "number" || !head.pathIsPlain) continue;
      plain++;
      expect(normalPath(path)).toBe(path);
    }
    expect(plain).toBeGreaterThan(500);
  });
});

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n";

describe("heads that are recognised", () => {
  const regular: readonly [sentence: string, text: string, wanted: object][] = [
    ["a GET", `${get}\r\n`, { framing: "none", closing: false }],
    ["every method of the lane: HEAD", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", { framing: "none" }],
    ["every method of the lane: OPTIONS", "OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n", { framing: "none" }],
    ["a GET with a body", `${get}Content-Length: 1\r\n\r\n`, { framing: "length", contentLength: 1 }],
    ["a DELETE with a body", "DELETE / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", { contentLength: 1 }],
    ["a length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n", { framing: "length", contentLength: 12 }],
    ["a length of nothing", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", { framing: "none" }],
    [
      "the largest length that is exact",
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999\r\n\r\n",
      { contentLength: 999_999_999_999_999 },
    ],
    ["chunks", "PATCH / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", { framing: "chunked" }],
    ["chunks in any case", "POST / HTTP/1.1\r\nhost: x\r\nTRANSFER-ENCODING: Chunked\r\n\r\n", { framing: "chunked" }],
    ["a client that closes", `${get}Connection: Close\r\n\r\n`, { closing: true }],
    ["a client that keeps the connection", `${get}connection: keep-alive\r\n\r\n`, { closing: false }],
    ["close before keep-alive", `${get}Connection: close\r\nConnection: keep-alive\r\n\r\n`, { closing: true }],
    ["odd but legal names", `${get}!#$%&'*+-.^_\`|~09: y\r\n\r\n`, { framing: "none" }],
    ["bytes above ASCII in values", `${get}X-Name: \x80\xff\r\n\r\n`, { framing: "none" }],
  ];
  it.each(regular)("%s", (_sentence, text, wanted) => {
    const { head, reader, from } = read(text);
    expect(head).toBeTypeOf("object");
    expect(reader).toMatchObject(wanted);
    expect(reader.end).toBe(from + text.length);
  });

  it("every prefix of a head is incomplete", () => {
    for (const [, text] of regular) {
      for (let length = 1; length < text.length; length++) {
        expect([text.slice(0, length), read(text.slice(0, length)).head]).toEqual([text.slice(0, length), incomplete]);
      }
    }
  });

  it("a head has its parts", () => {
    const { head } = read(
      "GET /a/b?c=d&e HTTP/1.1\r\nHost: Shop.Example:81\r\nCookie: a=1\r\nX: 1\r\ncookie: b=2\r\n\r\n",
    );
    expect(head).toMatchObject({
      method: "GET",
      target: "/a/b?c=d&e",
      path: "/a/b",
      query: "c=d&e",
      authority: "Shop.Example:81",
      host: "shop.example",
      cookies: "a=1; b=2",
    });
  });

  it("fields are found by name also after another head was read", () => {
    const { head, reader } = read(`${get}X-One: 1\r\nx-two: 2\r\nX-TWO: 3\r\n\r\n`);
    if (typeof head === "number") throw new Error("not recognised");
    const later = Buffer.from("GET / HTTP/1.1\r\nHost: other\r\nX-One: later\r\n\r\n");
    expect(reader.read(later, 0, later.length, snapshot, new FastHead(reader))).toBe(later.length);
    expect(head.header("x-one")).toBe("1");
    expect(head.header("x-three")).toBeUndefined();
    expect(typeof head.header("x-two")).toBe("symbol");
    expect(head.headerLines("x-two")).toEqual(["2", "3"]);
  });
});

describe("heads that are left to the standard lane", () => {
  const odd: readonly [sentence: string, text: string][] = [
    ["a method that the lane does not serve", "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a TLS hello", "\x16\x03\x01\x02\x00\x01"],
    ["a lower-case method", "get / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a method with a blank before it", " GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["an empty line before the request", "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["two blanks before the target", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["two blanks behind the target", "GET /  HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a tab behind the target", "GET /\tHTTP/1.1\r\nHost: x\r\n\r\n"],
    ["HTTP/1.0", "GET / HTTP/1.0\r\nHost: x\r\n\r\n"],
    ["HTTP/1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n"],
    ["HTTP/0.9", "GET /\r\n"],
    ["lower-case http", "GET / http/1.1\r\nHost: x\r\n\r\n"],
    ["an absolute target", "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a target of an asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a fragment in the target", "GET /#a HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a byte above ASCII in the target", "GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a NUL in the target", "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a bare line feed behind the request line", "GET / HTTP/1.1\nHost: x\r\n\r\n"],
    ["a bare line feed behind a field", `${get}X: y\nZ: y\r\n\r\n`],
    ["a bare line feed at the end", `${get}X: y\r\n\n`],
    ["a bare carriage return in a value", `${get}X: a\rb\r\n\r\n`],
    ["a carriage return at the end without its line feed", `${get}\rX`],
    ["a NUL in a value", `${get}X: a\0b\r\n\r\n`],
    ["a DEL in a value", `${get}X: a\x7fb\r\n\r\n`],
    ["a folded value", `${get}X: a\r\n b\r\n\r\n`],
    ["a folded first field", "GET / HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n"],
    ["a blank before the colon", `${get}X : a\r\n\r\n`],
    ["a name with a blank", `${get}X Y: a\r\n\r\n`],
    ["no name", `${get}: a\r\n\r\n`],
    ["no colon", `${get}XY\r\n\r\n`],
    ["a byte above ASCII in a name", `${get}X\xe9: a\r\n\r\n`],
    ["no blank before a value", `${get}X:a\r\n\r\n`],
    ["two blanks before a value", `${get}X:  a\r\n\r\n`],
    ["a tab before a value", `${get}X:\ta\r\n\r\n`],
    ["a blank behind a value", `${get}X: a \r\n\r\n`],
    ["an empty value", `${get}X: \r\n\r\n`],
    ["no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n"],
    ["two Hosts", `${get}Host: shop.example\r\n\r\n`],
    ["a Host that is no authority", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
    ["a Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"],
    ["a length and chunks", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["chunks and a length", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"],
    [
      "a length of nothing and chunks",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ["two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
    ["the same length twice", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"],
    ["nothing twice", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"],
    ...[
      "+1",
      "-1",
      "01",
      "00",
      "0x1",
      "1,1",
      "1 1",
      "1e1",
      "1.0",
      "\xb2",
      "1000000000000000",
      "18446744073709551617",
    ].map((length): [string, string] => [
      `a length of ${length}`,
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`,
    ]),
    ...["gzip, chunked", "chunked, chunked", "chunked;q=1", "identity", "xchunked", '"chunked"', "chunked\x0b"].map(
      (coding): [string, string] => [
        `a coding of ${JSON.stringify(coding)}`,
        `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ${coding}\r\n\r\n`,
      ],
    ),
    ["chunks twice", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a HEAD with chunks", "HEAD / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["Upgrade", `${get}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`],
    ["Upgrade that Connection does not name", `${get}Upgrade: websocket\r\n\r\n`],
    ["HTTP2-Settings", `${get}HTTP2-Settings: x\r\n\r\n`],
    ["Expect", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"],
    ["a Connection that names fields", `${get}Connection: close, x-a\r\n\r\n`],
    ["more fields than the limit", `${get}${"X: y\r\n".repeat(20)}\r\n`],
    ["more bytes than the limit", `${get}X: ${"y".repeat(8 * 1024)}\r\n\r\n`],
    ["more bytes than the limit, and no end", `${get}X: ${"y".repeat(8 * 1024)}`],
    ["a target over the limit, and no end", `GET /${"y".repeat(8 * 1024)}`],
    ["a thousand and more fields", `${get}${"X: y\r\n".repeat(1100)}\r\n`],
  ];
  it.each(odd)("%s", (_sentence, text) => {
    expect(read(text).head).toBe(irregular);
  });

  it("no prefix of an odd head is taken for a request", () => {
    for (const [sentence, text] of odd) {
      for (let length = 1; length < Math.min(text.length, 200); length++) {
        expect([sentence, typeof read(text.slice(0, length)).head]).toEqual([sentence, "number"]);
      }
    }
  });

  it("heads at the limits are recognised, and not over them", () => {
    expect(read(`${get}${"X: y\r\n".repeat(19)}\r\n`).head).toBeTypeOf("object");
    const rest = 8 * 1024 - `${get}X: \r\n\r\n`.length;
    expect(read(`${get}X: ${"y".repeat(rest)}\r\n\r\n`).head).toBeTypeOf("object");
    expect(read(`${get}X: ${"y".repeat(rest + 1)}\r\n\r\n`).head).toBe(irregular);
  });
});
