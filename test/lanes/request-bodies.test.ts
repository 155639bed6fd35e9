/** @module-tag slow */
import { compareCases, compareCasesAtOnce } from "./compare-cases.ts";
import { limited, trusting } from "./configurations.ts";
import {
  answer,
  chunked,
  chunks,
  closed,
  cut,
  end,
  type LaneCase,
  pieces,
  quiet,
  received,
  request,
  reset,
  responses,
  send,
  sized,
  upstreamHas,
} from "./lane-case.ts";

const lengthOf = (body: string) => `Content-Length: ${body.length}\r\n`;

/** A POST with unambiguous framing, served by the fast lane. */
const regular = (name: string, fields: string, body: string, line = "POST /plain"): LaneCase => ({
  name,
  client: [send(request(line, fields, body)), responses(1)],
  methods: [line.split(" ")[0] ?? ""],
  regular: true,
});
const any = (name: string, fields: string, body: string, line = "POST /plain"): LaneCase => ({
  name,
  client: request(line, fields, body),
});

const mebibyte = "0123456789abcdef".repeat(65_536);
const everyByte = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
const methods = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "TRACE",
  "QUERY",
  "PROPFIND",
  "SEARCH",
  "FOO",
];

const framed: readonly LaneCase[] = [
  ...methods.flatMap((method) => [
    any(`${method} with a length`, lengthOf("hello"), "hello", `${method} /plain`),
    any(`${method} with a length of 0`, lengthOf(""), "", `${method} /plain`),
    any(`${method} with chunks`, chunked, chunks(["hel", "lo"]), `${method} /plain`),
    any(`${method} with no chunk`, chunked, chunks([]), `${method} /plain`),
  ]),
  regular("a length", lengthOf("hello"), "hello"),
  regular("chunks", chunked, chunks(["hel", "lo"])),
  regular("a body of 1 MiB by length", lengthOf(mebibyte), mebibyte),
  regular(
    "a body of 1 MiB in chunks",
    chunked,
    chunks(Array.from({ length: 64 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(16_384))),
  ),
  regular("a body of every byte", lengthOf(everyByte.repeat(20)), everyByte.repeat(20)),
  regular("chunks of every byte", chunked, chunks([everyByte, everyByte])),
  regular("a body that looks like a request", lengthOf(request()), request()),
  regular("chunks with trailers", `${chunked}Trailer: X-Sum\r\n`, chunks(["hello"], "X-Sum: 1\r\nX-Other: \xe9\r\n")),
  regular(
    "a type and an encoding",
    `Content-Type: a/b\r\nContent-Encoding: gzip\r\n${lengthOf("hello")}Content-Language: en\r\n`,
    "hello",
  ),
  regular("a length among other fields", `X-A: 1\r\n${lengthOf("hello")}X-B: 2\r\n`, "hello"),
  any("chunk extensions", chunked, '5;a=b;c="d;e"\r\nhello\r\n0;x\r\n\r\n'),
  { ...any("chunk extensions with blanks", chunked, "5 ; a = b\r\nhello\r\n0\r\n\r\n"), lingers: true },
  any("20 KiB of chunk extensions", chunked, `5;a=${"b".repeat(20_000)}\r\nhello\r\n0\r\n\r\n`),
  any("upper-case chunk sizes", chunked, "A\r\n0123456789\r\n0\r\n\r\n"),
  any("chunk sizes with zeros before them", chunked, "00005\r\nhello\r\n0000\r\n\r\n"),
  any(
    "trailers that may not be",
    chunked,
    chunks(["hello"], "Content-Length: 9\r\nTransfer-Encoding: x\r\nHost: y\r\n"),
  ),
  any("100 trailers", chunked, chunks(["hello"], Array.from({ length: 100 }, (_, i) => `X-${i}: ${i}\r\n`).join(""))),
  any("40 KiB of trailers", chunked, chunks(["hello"], `X-A: ${"t".repeat(40_000)}\r\n`)),
  any("a length with zeros before it", "Content-Length: 005\r\n", "hello"),
  any("blanks around a length", "Content-Length: \t5 \t\r\n", "hello"),
  any("Chunked in odd case", "Transfer-Encoding: CHUNKED\r\n", chunks(["hello"])),
  any("blanks around chunked", "Transfer-Encoding: \tchunked \r\n", chunks(["hello"])),
  ...[
    "Content-Length: 5\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: -5\r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: 5.0\r\n",
    "Content-Length: 5 5\r\n",
    "Content-Length: five\r\n",
    "Content-Length:\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length: 9007199254740993\r\n",
    "Content_Length: 5\r\n",
    `Content-Length: 5\r\n${chunked}`,
    `${chunked}Content-Length: 5\r\n`,
    `${chunked}${chunked}`,
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding:\r\n",
    "Transfer-Encoding: chunked;q=1\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding: \x0bchunked\r\n",
    "Transfer_Encoding: chunked\r\n",
  ].map((fields) => any(`framing ${JSON.stringify(fields)}`, fields, chunks(["hello"]))),
  ...[
    "g\r\nhello\r\n",
    "-5\r\nhello\r\n",
    "5\nhello\n",
    "5\r\nhelloX\r\n",
    "5\r\nhello\n",
    "\r\nhello\r\n",
    " 5\r\nhello\r\n",
    "0x5\r\nhello\r\n",
    "fffffffffffffffff\r\nhello\r\n",
    "5\0\r\nhello\r\n",
    "5\r\r\nhello\r\n",
    "5\rXhello\r\n",
    "5\r\nhello\rX",
    "0\rX",
    "0\r\n\rX",
    "5;\n\r\nhello\r\n",
    "5;a\0\r\nhello\r\n",
    "5\t\r\nhello\r\n",
  ].flatMap((bad): LaneCase[] => [
    { ...any(`bad chunk ${JSON.stringify(bad)}`, chunked, `${bad}0\r\n\r\n`), loose: "partial bodies", lingers: true },
    {
      ...any(`bad chunk after a good one ${JSON.stringify(bad)}`, "", ""),
      client: [send(request("POST /plain", chunked, "3\r\nabc\r\n")), upstreamHas("abc"), send(`${bad}0\r\n\r\n`)],
      loose: "partial bodies",
      lingers: true,
    },
  ]),
  ...["X A: 1\r\n", " X: 1\r\n", "nonsense\r\n", "X-A: a\0b\r\n", "X-A: 1\n"].map(
    (trailer): LaneCase => ({
      ...any(`bad trailer ${JSON.stringify(trailer)}`, chunked, chunks(["hello"], trailer)),
      loose: "partial bodies",
      lingers: true,
    }),
  ),
];

const timed: readonly LaneCase[] = [
  {
    ...regular("a head, then its body in pieces", "", ""),
    client: [...pieces(request("POST /plain", lengthOf("hello world")), "hello", " ", "world"), responses(1)],
  },
  {
    ...regular("a chunked body in pieces", "", ""),
    client: [
      ...pieces(request("POST /plain", chunked), "5\r", "\nhel", "lo\r\n", "6\r\n world", "\r\n0", "\r\n\r", "\n"),
      responses(1),
    ],
  },
  {
    ...regular("byte by byte", "", ""),
    client: [
      ...cut(request("POST /plain", chunked, chunks(["hello", "w"])), ...Array.from({ length: 90 }, (_, i) => i + 1)),
      responses(1),
    ],
  },
  {
    ...regular("200 chunks, a write each", "", ""),
    client: [
      send(request("POST /plain", chunked)),
      ...Array.from({ length: 200 }, (_, i) => send(`1\r\n${i % 10}\r\n`)),
      send("0\r\n\r\n"),
      responses(1),
    ],
  },
  {
    ...regular("a body that begins when the upstream has the head", "", ""),
    client: [send(request("PUT /plain", lengthOf("hello"), "h")), upstreamHas("PUT"), send("ello"), responses(1)],
    methods: ["PUT"],
  },
  {
    name: "Expect: 100-continue, and then the body",
    client: [
      send(request("POST /plain", `Expect: 100-continue\r\n${lengthOf("hello")}`)),
      received("100 Continue\r\n\r\n"),
      send("hello"),
      responses(1),
    ],
  },
  {
    name: "Expect: 100-Continue, chunked",
    client: [
      send(request("POST /plain", `Expect: 100-Continue\r\n${chunked}`)),
      received("100 Continue\r\n\r\n"),
      send(chunks(["hello"])),
      responses(1),
    ],
  },
  {
    name: "Expect: 100-continue, the body at once",
    client: [send(request("POST /plain", `Expect: 100-continue\r\n${lengthOf("hello")}`, "hello")), responses(1)],
  },
  {
    name: "Expect: 100-continue, a refusal",
    client: [send(request("POST /dead", `Expect: 100-continue\r\n${lengthOf("hello")}`)), responses(1)],
  },
  {
    name: "Expect: 100-continue, no route",
    client: [send(`POST / HTTP/1.1\r\nHost: nobody\r\nExpect: 100-continue\r\n${lengthOf("hello")}\r\n`), responses(1)],
  },
  {
    name: "Expect: 100-continue with an early answer",
    client: [send(request("POST /plain", `Expect: 100-continue\r\n${lengthOf("hello")}`)), responses(1), quiet],
    upstream: [{ from: "head", steps: [send(sized("no", "Connection: close\r\n", "417 No")), end] }],
  },
  {
    name: "an unknown expectation with a body",
    client: [send(request("POST /plain", `Expect: more\r\n${lengthOf("hello")}`, "hello")), responses(1)],
  },
  {
    name: "silence in the body: the timeout",
    client: [send(request("POST /plain", lengthOf("hello"), "he")), responses(1)],
    lingers: true,
  },
  {
    name: "silence in the chunks: the timeout",
    client: [send(request("POST /plain", chunked, "2\r\nhe\r\n")), responses(1)],
    lingers: true,
  },
  { name: "the client goes in the head", client: [send("GET /plain HTTP/1.1\r\nHost: a"), { do: "reset" }] },
  { name: "the client ends in the head", client: [send("GET /plain HTTP/1.1\r\nHost: a"), end] },
  { name: "the client ends in the request line", client: [send("GE"), end] },
  { name: "the client ends before it sends", client: [end] },
  {
    name: "the client goes in the body",
    client: [send(request("POST /plain", lengthOf("hello"), "he")), upstreamHas("he"), { do: "reset" }],
    loose: "partial bodies",
  },
  {
    name: "the client ends in the body",
    client: [send(request("POST /plain", lengthOf("hello"), "he")), upstreamHas("\r\n\r\nhe"), end],
    loose: "partial bodies",
  },
  {
    name: "the client goes in the chunks",
    client: [send(request("POST /plain", chunked, "2\r\nhe\r\n")), upstreamHas("he"), { do: "reset" }],
    loose: "partial bodies",
  },
  {
    name: "the client goes before the answer",
    client: [send(request("GET /plain")), upstreamHas("GET"), { do: "reset" }],
    upstream: [answer({ gone: true })],
    regular: true,
  },
  {
    name: "the client ends before the answer",
    client: [send(request("GET /plain")), upstreamHas("GET"), end],
    upstream: [answer({ gone: true })],
  },
  { name: "the client ends with its request", client: [send(request("GET /plain")), end] },
  { name: "the client ends with its POST", client: [send(request("POST /plain", lengthOf("hello"), "hello")), end] },
  {
    name: "the client goes in the answer's head",
    client: [send(request("GET /plain")), upstreamHas("GET"), { do: "reset" }],
    upstream: [answer(send("HTTP/1.1 200 OK\r\n"), { gone: true })],
    regular: true,
  },
  {
    name: "the client goes in the answer's body",
    client: [send(request("GET /plain")), received("hello"), { do: "reset" }],
    upstream: [answer(send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), { gone: true })],
    regular: true,
  },
  {
    name: "the client ends in the answer's body",
    client: [send(request("GET /plain")), received("hello"), end],
    upstream: [answer(send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), { gone: true })],
  },
  {
    name: "the client goes in the answer's chunks",
    client: [send(request("GET /")), received("hello"), { do: "reset" }],
    upstream: [answer(send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), { gone: true })],
    regular: true,
  },
  {
    name: "the client goes after the answer",
    client: [send(request("GET /plain")), responses(1), { do: "reset" }],
    regular: true,
  },
  {
    name: "the client goes after a part of a second request",
    client: [send(request("GET /plain")), responses(1), send("GET /"), { do: "reset" }],
  },
  {
    name: "the client goes while hints come",
    client: [send(request("GET /plain")), received("103"), { do: "reset" }],
    upstream: [answer(send("HTTP/1.1 103 E\r\nLink: </a>; rel=preload\r\n\r\n"), { gone: true })],
  },
  {
    name: "the upstream resets while the client uploads",
    client: [send(request("POST /plain", lengthOf("x".repeat(100_000)), "x".repeat(50_000))), responses(1)],
    upstream: [{ from: "head", steps: [reset] }],
    loose: "partial bodies",
  },
];

const limits: readonly LaneCase[] = [
  regular("a body of the limit", lengthOf("x".repeat(64)), "x".repeat(64)),
  any("a body beyond the limit", lengthOf("x".repeat(65)), "x".repeat(65)),
  any("a body far beyond the limit", lengthOf("x".repeat(100_000)), "x".repeat(100_000)),
  {
    name: "a body beyond the limit whose bytes never come",
    client: [send(request("POST /plain", lengthOf("x".repeat(65)))), responses(1), closed],
  },
  any("chunks of the limit", chunked, chunks(["x".repeat(32), "y".repeat(32)])),
  { ...any("chunks beyond the limit", chunked, chunks(["x".repeat(32), "y".repeat(33)])), loose: "partial bodies" },
  {
    name: "chunks beyond the limit, in pieces",
    client: [
      send(request("POST /plain", chunked, `20\r\n${"x".repeat(32)}\r\n`)),
      upstreamHas("xxx"),
      send(chunks(["y".repeat(33)])),
      responses(1),
    ],
    loose: "partial bodies",
  },
  {
    name: "beyond the limit, JSON",
    client: request("POST /plain", `Accept: application/json\r\n${lengthOf("x".repeat(65))}`, "x".repeat(65)),
  },
  {
    name: "beyond the limit, expecting",
    client: [send(request("POST /plain", `Expect: 100-continue\r\n${lengthOf("x".repeat(65))}`)), responses(1)],
  },
];

/** Cases that end with a timeout. */
const isTimed = ({ name }: LaneCase) => /: the timeout$|never come$|with an early answer$/.test(name);
const untimed = (cases: readonly LaneCase[]) => cases.filter((laneCase) => !isTimed(laneCase));

compareCases("request bodies", trusting, framed);
compareCases("request bodies in time", trusting, untimed(timed));
compareCases("request bodies beyond limits", limited, untimed(limits));
compareCasesAtOnce("request bodies that take their time", trusting, timed.filter(isTimed));
compareCasesAtOnce("request bodies beyond limits that take their time", limited, limits.filter(isTimed));
