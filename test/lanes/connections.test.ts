/** @module-tag slow */
import { compareCases } from "./compare-cases.ts";
import { trusting } from "./configurations.ts";
import {
  answer,
  chunked,
  chunks,
  clientHas,
  closed,
  cut,
  end,
  type LaneCase,
  quiet,
  reconnect,
  request,
  response,
  responses,
  send,
  sized,
} from "./lane-case.ts";

const post = (body: string, path = "/plain") => request(`POST ${path}`, `Content-Length: ${body.length}\r\n`, body);
const numbered = (count: number) => Array.from({ length: count }, (_, i) => request(`GET /plain/${i}`)).join("");

const pipelined: readonly LaneCase[] = [
  { name: "2 requests in one write", client: [send(numbered(2)), responses(2)], regular: true },
  { name: "10 requests in one write", client: [send(numbered(10)), responses(10)], regular: true },
  { name: "100 requests in one write", client: [send(numbered(100)), responses(100)], regular: true },
  {
    name: "10 requests of which some are pinned",
    client: [
      send(Array.from({ length: 10 }, (_, i) => request(`GET ${i % 2 === 0 ? "/" : "/plain"}`)).join("")),
      responses(10),
    ],
    regular: true,
  },
  {
    name: "a body between two",
    client: [send(request("GET /plain/1") + post("hello") + request("GET /plain/3")), responses(3)],
    regular: true,
  },
  {
    name: "chunks between two",
    client: [
      send(
        request("GET /plain/1") +
          request("POST /plain", chunked, chunks(["hello", "x"], "X-A: 1\r\n")) +
          request("GET /plain/3"),
      ),
      responses(3),
    ],
    regular: true,
  },
  {
    name: "bodies after one another",
    client: [send(post("one") + post("two") + post("three")), responses(3)],
    regular: true,
  },
  {
    name: "HEAD between two",
    client: [send(request("GET /plain/1") + request("HEAD /plain/2") + request("GET /plain/3")), responses(3)],
    methods: ["GET", "HEAD", "GET"],
    regular: true,
  },
  {
    name: "204 and 304 between two",
    client: [send(numbered(4)), responses(4)],
    upstream: [sized("1"), response("204 R"), response("304 R", "Content-Length: 7\r\n"), sized("4")],
    regular: true,
  },
  {
    name: "a slow first",
    client: [send(numbered(3)), responses(3)],
    upstream: [answer(send(response("200 OK", "Content-Length: 5\r\n")), clientHas("\r\n\r\n"), send("hello"))],
    regular: true,
  },
  {
    name: "a second that arrives while the first is answered",
    client: [send(numbered(1)), { upstreamHas: "/plain/0" }, send(request("GET /plain/second")), responses(2)],
    upstream: [
      answer(
        { received: "GET" },
        send(response("200 OK", "Content-Length: 5\r\n", "he")),
        clientHas("he"),
        send("llo"),
      ),
    ],
    regular: true,
  },
  { name: "cut in the second", client: [...cut(numbered(2), 70), responses(2)], regular: true },
  {
    name: "an irregular one behind a regular one",
    client: [send(request("GET /plain/1") + request("FOO /plain/2") + request("GET /plain/3")), responses(3)],
  },
  {
    name: "no route between two",
    client: [
      send(`${request("GET /plain/1")}GET / HTTP/1.1\r\nHost: nobody\r\n\r\n${request("GET /plain/3")}`),
      responses(3),
    ],
  },
  {
    name: "malformed behind a regular one",
    client: [send(`${request("GET /plain/1")}GET / HTTP/1.1\r\nbad header\r\n\r\n`), closed],
  },
  { name: "garbage behind a regular one", client: [send(`${request("GET /plain/1")}\x00\x01\x02`), closed] },
  { name: "garbage behind a POST", client: [send(`${post("hello")}garbage\r\n\r\n`), closed] },
  {
    name: "bytes beyond a length",
    client: [send(`${request("POST /plain", "Content-Length: 2\r\n", "hello")}\r\n\r\n`), closed],
  },
  {
    name: "an empty line between two",
    client: [send(`${request("GET /plain/1")}\r\n${request("GET /plain/2")}`), responses(2)],
  },
  {
    name: "many empty lines between two",
    client: [send(`${request("GET /plain/1")}${"\r\n".repeat(20)}${request("GET /plain/2")}`), responses(2)],
  },
  { name: "empty lines first", client: [send(`\r\n\r\n${request("GET /plain/1")}`), responses(1)] },
  {
    name: "an empty line after a POST, as old browsers sent",
    client: [send(`${post("hello")}\r\n${request("GET /plain/2")}`), responses(2)],
  },
  { name: "bare LFs first", client: [send(`\n\n${request("GET /plain/1")}`), responses(1)] },
  {
    name: "close, and one behind it",
    client: [send(request("GET /plain/1", "Connection: close\r\n") + request("GET /plain/2")), closed],
    regular: true,
  },
  {
    name: "close in the second of three",
    client: [
      send(request("GET /plain/1") + request("GET /plain/2", "Connection: close\r\n") + request("GET /plain/3")),
      closed,
    ],
    regular: true,
  },
  {
    name: "HTTP/1.0 behind a regular one",
    client: [send(`${request("GET /plain/1")}GET /plain/2 HTTP/1.0\r\n\r\n`), closed],
  },
  {
    name: "CONNECT behind a regular one",
    client: [send(`${request("GET /plain/1")}CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n`), quiet],
  },
  {
    name: "Upgrade behind a regular one",
    client: [
      send(
        `${request("GET /plain/1")}${request("GET /plain/2", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n")}`,
      ),
      quiet,
    ],
  },
  {
    name: "Expect behind a regular one",
    client: [
      send(
        `${request("GET /plain/1")}${request("POST /plain/2", "Expect: 100-continue\r\nContent-Length: 2\r\n", "hi")}`,
      ),
      responses(2),
    ],
  },
  {
    name: "the upstream breaks under the first of three",
    client: [send(numbered(3)), closed],
    upstream: [answer(send(response("200 OK", "Content-Length: 9\r\n", "hello")), clientHas("hello"), end)],
    regular: true,
  },
  { name: "the upstream refuses the first of three", client: [send(request("GET /dead") + numbered(2)), responses(3)] },
  ...["GET", "POST"].map(
    (method): LaneCase => ({
      name: `a body until close, and a ${method} behind it on a kept connection`,
      client: [
        send(
          request("GET /", "X-User-Region: cn-east\r\n") +
            request("GET /plain/2") +
            request(`${method} /`, "X-User-Region: cn-east\r\n"),
        ),
        responses(3),
      ],
      upstream: [sized("one"), answer(send(response("200 OK", "", "two")), end), sized("three")],
    }),
  ),
  { name: "the client ends after three", client: [send(numbered(3)), end] },
  {
    name: "200 KiB pipelined",
    client: [
      send(Array.from({ length: 20 }, (_, i) => request(`GET /plain/${i}`, `X-A: ${"x".repeat(10_000)}\r\n`)).join("")),
      responses(20),
    ],
    regular: true,
  },
  {
    name: "five uploads of 100 KiB pipelined",
    client: [send(Array.from({ length: 5 }, (_, i) => post(String(i).repeat(100_000))).join("")), responses(5)],
    regular: true,
  },
];

const kept: readonly LaneCase[] = [
  {
    name: "one after the other",
    client: [1, 2, 3, 4].flatMap((i) => [send(request(`GET /plain/${i}`)), responses(i)]),
    regular: true,
  },
  {
    name: "GET, POST, HEAD, DELETE",
    client: [
      send(request("GET /plain")),
      responses(1),
      send(post("hello")),
      responses(2),
      send(request("HEAD /plain")),
      responses(3),
      send(request("DELETE /plain")),
      responses(4),
    ],
    methods: ["GET", "POST", "HEAD", "DELETE"],
    regular: true,
  },
  {
    name: "two clients after one another",
    client: [
      send(request("GET /plain/1")),
      responses(1),
      reconnect,
      send(request("GET /plain/2")),
      responses(1),
      quiet,
      reconnect,
      send(request("GET /plain/3")),
      responses(1),
    ],
    regular: true,
  },
  {
    name: "an upstream that closes each time",
    client: [1, 2, 3].flatMap((i) => [send(request(`GET /plain/${i}`)), responses(i)]),
    upstream: [1, 2, 3].map(() => answer(send(sized("x", "Connection: close\r\n")), end)),
    regular: true,
  },
  {
    name: "an upstream of HTTP/1.0",
    client: [1, 2, 3].flatMap((i) => [send(request(`GET /plain/${i}`)), responses(i)]),
    upstream: [1, 2, 3].map(() => answer(send("HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nbody"), end)),
  },
  {
    name: "irregular, then regular",
    client: [send(request("FOO /plain/1")), responses(1), send(request("GET /plain/2")), responses(2)],
  },
  {
    name: "regular, then irregular, then regular",
    client: [
      send(request("GET /plain/1")),
      responses(1),
      send(request("FOO /plain/2")),
      responses(2),
      send(request("GET /plain/3")),
      responses(3),
    ],
  },
  {
    name: "regular, then malformed",
    client: [send(request("GET /plain/1")), responses(1), send("nonsense\r\n\r\n"), closed],
  },
  {
    name: "regular, then half a head that is malformed",
    client: [send(request("GET /plain/1")), responses(1), send("GET / HTTP/1.1\r\nX"), send("(: 1\r\n\r\n"), closed],
  },
  {
    name: "regular, then a WebSocket that is refused",
    client: [
      send(request("GET /plain/1")),
      responses(1),
      send(
        request(
          "GET /plain/2",
          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        ),
      ),
      responses(2),
    ],
  },
  {
    name: "a WebSocket that opens",
    client: [
      send(
        request(
          "GET /",
          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        ),
      ),
      quiet,
    ],
    upstream: [
      answer(
        send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        ),
        clientHas("101"),
        end,
      ),
    ],
  },
  {
    name: "a 426 and an Upgrade field",
    client: [send(request("GET /plain")), responses(1)],
    upstream: [response("426 R", "Upgrade: x\r\nConnection: upgrade\r\nContent-Length: 0\r\n")],
    regular: true,
  },
];

compareCases("pipelined requests", trusting, pipelined);
compareCases("kept connections", trusting, kept);
