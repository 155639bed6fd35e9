/** @module-tag slow */
import { compareCases } from "./compare-cases.ts";
import { trusting } from "./configurations.ts";
import { cut, type LaneCase, request, responses, send } from "./lane-case.ts";

const host = "Host: shop.example\r\n";

/** A defect of a request, and its bytes. */
const malformed: readonly (readonly [what: string, bytes: string])[] = [
  ["garbage", "garbage\r\n\r\n"],
  ["nothing but an empty line", "\r\n"],
  ["nothing but blanks", "   \r\n\r\n"],
  ["NULs", "\0\0\0\0"],
  ["a bare LF after the request line", `GET / HTTP/1.1\n${host}\r\n`],
  ["bare LFs throughout", "GET / HTTP/1.1\nHost: shop.example\n\n"],
  ["a bare LF after a field", "GET / HTTP/1.1\r\nHost: shop.example\n\r\n"],
  ["a bare LF at the head's end", `GET / HTTP/1.1\r\n${host}\n`],
  ["a bare CR after the request line", `GET / HTTP/1.1\r${host}\r\n`],
  ["a bare CR in a value", `GET / HTTP/1.1\r\n${host}X-A: a\rb\r\n\r\n`],
  ["a bare CR at a line's end", `GET / HTTP/1.1\r\n${host}X-A: a\r\r\n\r\n`],
  ["a bare CR in a name", `GET / HTTP/1.1\r\n${host}X\r-A: a\r\n\r\n`],
  ["a bare CR at the head's end", `GET / HTTP/1.1\r\n${host}\rX`],
  ["a fold", `GET / HTTP/1.1\r\n${host}X-A: a\r\n b\r\n\r\n`],
  ["a fold by a tab", `GET / HTTP/1.1\r\n${host}X-A: a\r\n\tb\r\n\r\n`],
  ["a fold of the first field", `GET / HTTP/1.1\r\n X-A: a\r\n${host}\r\n`],
  ["a folded length", `POST / HTTP/1.1\r\n${host}Content-Length:\r\n 5\r\n\r\nhello`],
  ["a blank before a colon", `GET / HTTP/1.1\r\n${host}X-A : a\r\n\r\n`],
  ["a tab before a colon", `GET / HTTP/1.1\r\n${host}X-A\t: a\r\n\r\n`],
  ["a blank before Host's colon", "GET / HTTP/1.1\r\nHost : shop.example\r\n\r\n"],
  ["no colon", `GET / HTTP/1.1\r\n${host}X-A\r\n\r\n`],
  ["no name", `GET / HTTP/1.1\r\n${host}: a\r\n\r\n`],
  ["nothing but a colon", `GET / HTTP/1.1\r\n${host}:\r\n\r\n`],
  ["two blanks in the request line", `GET  / HTTP/1.1\r\n${host}\r\n`],
  ["two blanks before the version", `GET /  HTTP/1.1\r\n${host}\r\n`],
  ["a tab in the request line", `GET\t/ HTTP/1.1\r\n${host}\r\n`],
  ["a blank at the request line's end", `GET / HTTP/1.1 \r\n${host}\r\n`],
  ["a blank at the request line's start", ` GET / HTTP/1.1\r\n${host}\r\n`],
  ["a vertical tab in the request line", `GET /\x0b HTTP/1.1\r\n${host}\r\n`],
  ["a NUL in the target", `GET /\0 HTTP/1.1\r\n${host}\r\n`],
  ["a tab in the target", `GET /a\tb HTTP/1.1\r\n${host}\r\n`],
  ["a control byte in the target", `GET /a\x1fb HTTP/1.1\r\n${host}\r\n`],
  ["obs-text in the target", `GET /\xff HTTP/1.1\r\n${host}\r\n`],
  ["a method that is no token", `G(T / HTTP/1.1\r\n${host}\r\n`],
  ["a method in obs-text", `G\xc9T / HTTP/1.1\r\n${host}\r\n`],
  ["no method", ` / HTTP/1.1\r\n${host}\r\n`],
  ["no target", `GET HTTP/1.1\r\n${host}\r\n`],
  ["a long method", `${"X".repeat(5000)} / HTTP/1.1\r\n${host}\r\n`],
  ["a response", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
  ["a request line without an end", "GET /".padEnd(50_000, "x")],
  ["a field without an end", `GET / HTTP/1.1\r\n${host}X-A: `.padEnd(50_000, "x")],
  ["field lines without an end", `GET / HTTP/1.1\r\n${host}${"X: y\r\n".repeat(9000)}`],
  ["PROXY protocol", `PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n${request()}`],
  [
    "PROXY protocol, version 2",
    `\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x01\x01\x01\x02\x02\x02\x02\0\x01\0\x02${request()}`,
  ],
  ["a byte order mark first", `\xef\xbb\xbf${request()}`],
  ["SSH", "SSH-2.0-OpenSSH_9.9\r\n"],
  ["SMTP", "EHLO a\r\n"],
];

/** Control bytes, DEL and separators at each position of a request. */
const places = (byte: string): readonly (readonly [what: string, bytes: string])[] => [
  ["in a value", `GET / HTTP/1.1\r\n${host}X-A: a${byte}b\r\n\r\n`],
  ["at a value's start", `GET / HTTP/1.1\r\n${host}X-A: ${byte}b\r\n\r\n`],
  ["at a value's end", `GET / HTTP/1.1\r\n${host}X-A: a${byte}\r\n\r\n`],
  ["in a name", `GET / HTTP/1.1\r\n${host}X${byte}A: a\r\n\r\n`],
  ["at a name's start", `GET / HTTP/1.1\r\n${host}${byte}X-A: a\r\n\r\n`],
  ["in the target", `GET /a${byte}b HTTP/1.1\r\n${host}\r\n`],
  ["in the method", `G${byte}T / HTTP/1.1\r\n${host}\r\n`],
  ["in the version", `GET / HTTP/1.${byte}\r\n${host}\r\n`],
];
const bytes = [
  "\0",
  "\x01",
  "\x07",
  "\x08",
  "\x0b",
  "\x0c",
  "\x1b",
  "\x1f",
  "\x7f",
  "\x80",
  "\xa0",
  "\xff",
  '"',
  "(",
  ",",
  "/",
  ";",
  "<",
  "=",
  "@",
  "[",
  "\\",
  "{",
  "}",
];

const cases: readonly LaneCase[] = [
  ...malformed.flatMap(([what, text]): LaneCase[] => [
    { name: what, client: text },
    { name: `${what}, in two pieces`, client: cut(text, Math.min(20, text.length - 1)) },
    {
      name: `${what}, in small pieces`,
      client: cut(
        text.slice(0, 120),
        ...Array.from({ length: Math.ceil(Math.min(text.length, 120) / 7) - 1 }, (_, i) => (i + 1) * 7),
      ),
    },
    { name: `${what}, after a regular request`, client: [send(request("GET /plain")), responses(1), send(text)] },
  ]),
  ...bytes.flatMap((byte) =>
    places(byte).map(([where, text]): LaneCase => ({ name: `${JSON.stringify(byte)} ${where}`, client: text })),
  ),
];

compareCases("malformed requests", trusting, cases);
