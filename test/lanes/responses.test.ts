import { compareCases, compareCasesAtOnce } from "./compare-cases.ts";
import { trusting } from "./configurations.ts";
import {
  answer,
  chunks,
  clientHas,
  closed,
  cut,
  earlyAnswer,
  end,
  type LaneCase,
  pieces,
  quiet,
  received,
  request,
  reset,
  response,
  responses,
  send,
  sized,
  upstreamHas,
} from "./lane-case.ts";

const chunked = "Transfer-Encoding: chunked\r\n";

/** A response to an ordinary request, served by the fast lane. */
const regular = (name: string, bytes: string, line = "GET /plain"): LaneCase => ({
  name,
  client: [send(request(line)), responses(1)],
  methods: [line.split(" ")[0] ?? ""],
  upstream: [bytes],
  regular: true,
});

/** A response after which nothing is known of the client's connection. */
const any = (name: string, bytes: string, line = "GET /plain"): LaneCase => ({
  ...regular(name, bytes, line),
  client: request(line),
});

/** A response that the upstream ends by closing. */
const untilClose = (name: string, bytes: string, line = "GET /plain"): LaneCase => ({
  ...any(name, bytes, line),
  upstream: [answer(send(bytes), end)],
});

const statuses = [
  200, 201, 202, 203, 204, 205, 206, 207, 226, 299, 300, 301, 302, 304, 307, 400, 401, 403, 404, 405, 407, 409, 410,
  411, 412, 413, 416, 418, 421, 426, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 511, 599,
];

const statusLines: readonly LaneCase[] = [
  ...statuses.flatMap((status) => [
    regular(
      `status ${status}, no length`.replace("no length", "length 0"),
      response(`${status} Any Reason`, "Content-Length: 0\r\n"),
    ),
    any(`status ${status} with a body`, sized("body", "X-A: 1\r\n", `${status} R`)),
  ]),
  ...[204, 205, 304].flatMap((status) => [
    any(`status ${status}, nothing said`, response(`${status} R`)),
    any(`status ${status}, a length of 5 and no body`, response(`${status} R`, "Content-Length: 5\r\n")),
    any(`status ${status}, chunked and nothing`, response(`${status} R`, chunked)),
    any(`status ${status}, chunked and empty`, response(`${status} R`, chunked, chunks([]))),
    any(`status ${status}, chunked`, response(`${status} R`, chunked, chunks(["abc"]))),
    untilClose(`status ${status}, then closed`, response(`${status} R`)),
  ]),
  any("status 600", sized("x", "", "600 R")),
  any("status 999", sized("x", "", "999 R")),
  any("status 099", sized("x", "", "099 R")),
  any("status 20", sized("x", "", "20 OK")),
  any("status 2000", sized("x", "", "2000 OK")),
  ...["", "\tOK\t", "A B C", "OK  ", " OK", "caf\xe9", "a\x01b", "a\x7fb", "OK\0", "x".repeat(2000)].map((reason) =>
    any(`reason ${JSON.stringify(reason.slice(0, 20))}`, sized("x", "", `200 ${reason}`)),
  ),
  any("no reason and no blank", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx"),
  ...["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "ICY", "HTTP/1.1 "].map((version) =>
    untilClose(`version ${version}`, `${version} 200 OK\r\nContent-Length: 1\r\n\r\nx`),
  ),
  untilClose("HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nbody"),
  any("HTTP/1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"),
  any("HTTP/1.0 chunked", `HTTP/1.0 200 OK\r\n${chunked}\r\n${chunks(["abc"])}`),
];

const fields: readonly LaneCase[] = [
  regular(
    "fields in order and case",
    sized("x", "X-B: 1\r\nx-a: 2\r\nSERVER: s\r\nX-B: 3\r\nSet-Cookie: a\r\nset-cookie: b\r\n"),
  ),
  regular("a Date of its own", sized("x", "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n")),
  regular("two Dates", sized("x", "date: Thu, 01 Jan 1970 00:00:00 GMT\r\nDate: x\r\n")),
  any("a Date that is empty", sized("x", "Date:\r\n")),
  any("empty values and blanks", sized("x", "X-A:\r\nX-B: \r\nX-C:  c  \r\nX-D:\td\t\r\nX-E:e\r\nX-F: a  b\tc\r\n")),
  any("trailing blanks", sized("x", "X-A: a \r\nX-B: b\t\r\n")),
  regular("obs-text", sized("x", "X-A: caf\xe9 \x80\xff\r\nX-B: \xc3\xa9\r\n")),
  any("odd names", sized("x", "!#$%&'*+-.^_`|~0: 1\r\nconstructor: 2\r\n__proto__: 3\r\n")),
  any(
    "hop-by-hop fields",
    sized(
      "x",
      "Keep-Alive: timeout=9\r\nProxy-Connection: x\r\nProxy-Authenticate: y\r\nTE: z\r\nUpgrade: h2c\r\nTrailer: X\r\nProxy-Authorization: w\r\n",
    ),
  ),
  any("Proxy-Authenticate with a 407", sized("x", "Proxy-Authenticate: y\r\n", "407 R")),
  regular("Connection: keep-alive", sized("x", "Connection: keep-alive\r\n")),
  any("Connection: close", sized("x", "Connection: close\r\n")),
  ...[
    ["close, then keep-alive", "Connection: close\r\nConnection: keep-alive\r\n"],
    ["keep-alive, then close", "Connection: keep-alive\r\nConnection: close\r\n"],
    ["close among names", "Connection: x-a, close, x-b\r\n"],
    ["Close", "Connection: Close\r\n"],
  ].map(
    ([name = "", lines = ""]): LaneCase => ({
      name: `Connection: ${name}, and a POST behind it`,
      client: [send(request("GET /plain/1") + request("POST /plain/2")), responses(2)],
      upstream: [answer(send(sized("x", lines)), end)],
    }),
  ),
  any("Connection names fields", sized("x", "X-A: 1\r\nConnection: x-a, X-B , close\r\nX-B: 2\r\nX-C: 3\r\n")),
  any("Connection names fields in two lines", sized("x", "Connection: x-a\r\nX-A: 1\r\nConnection: X-B\r\nX-B: 2\r\n")),
  any("Connection names the length", sized("abc", "Connection: content-length\r\n")),
  any(
    "Connection names the length, last",
    response("200 OK", "Content-Length: 3\r\nConnection: Content-Length\r\n", "abc"),
  ),
  any("Connection names Date", sized("x", "Connection: date\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n")),
  any(
    "Connection names Set-Cookie and Cache-Control",
    sized("x", "Connection: set-cookie, cache-control\r\nSet-Cookie: a=b\r\nCache-Control: no-store\r\n"),
    "GET /",
  ),
  any("Connection names x-perch-version", sized("x", "Connection: x-perch-version\r\n")),
  any("Keep-Alive that leaves no time", sized("x", "Keep-Alive: timeout=0\r\n")),
  regular("100 fields", sized("x", Array.from({ length: 99 }, (_, i) => `X-${i}: ${i}\r\n`).join(""))),
  any("300 fields", sized("x", Array.from({ length: 299 }, (_, i) => `X-${i}: ${i}\r\n`).join(""))),
  any("2,000 fields", sized("x", Array.from({ length: 2000 }, (_, i) => `X-${i}: ${i}\r\n`).join(""))),
  any("a head of 30 KiB", sized("x", `X-A: ${"x".repeat(30_000)}\r\n`)),
  any("a head of 60 KiB", sized("x", `X-A: ${"x".repeat(60_000)}\r\n`)),
  any("a head of 70 KiB", sized("x", `X-A: ${"x".repeat(70_000)}\r\n`)),
  any("no fields at all but a length", sized("x")),
  any(
    "Alt-Svc and Server-Timing",
    sized("x", 'Alt-Svc: h3=":443"\r\nServer-Timing: a;dur=1\r\nStrict-Transport-Security: max-age=1\r\n'),
  ),
];

const bodies: readonly LaneCase[] = [
  regular("a length", sized("hello")),
  regular("a length of 0", sized("")),
  any("a length with zeros before it", response("200 OK", "Content-Length: 005\r\n", "hello")),
  any("a length twice, the same", response("200 OK", "Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
  any("a length twice, as a list", response("200 OK", "Content-Length: 5, 5\r\n", "hello")),
  any("two lengths", response("200 OK", "Content-Length: 5\r\nContent-Length: 4\r\n", "hello")),
  any("a length that is none", response("200 OK", "Content-Length: five\r\n", "hello")),
  any("an empty length", response("200 OK", "Content-Length:\r\n", "hello")),
  any("a length below zero", response("200 OK", "Content-Length: -5\r\n", "hello")),
  any("a length with a plus", response("200 OK", "Content-Length: +5\r\n", "hello")),
  any("a length in hexadecimal", response("200 OK", "Content-Length: 0x5\r\n", "hello")),
  any("a length beyond 64 bits", response("200 OK", "Content-Length: 99999999999999999999\r\n", "hello")),
  any("blanks in a length", response("200 OK", "Content-Length: 5 5\r\n", "hello")),
  any("blanks around a length", response("200 OK", "Content-Length: \t5 \t\r\n", "hello")),
  any("a length and chunks", response("200 OK", `Content-Length: 5\r\n${chunked}`, chunks(["hello"]))),
  any("chunks and a length", response("200 OK", `${chunked}Content-Length: 5\r\n`, chunks(["hello"]))),
  regular("chunks", response("200 OK", chunked, chunks(["hel", "lo", "x".repeat(300)]))),
  regular("no chunk", response("200 OK", chunked, chunks([]))),
  regular(
    "chunks with trailers",
    response("200 OK", `${chunked}Trailer: X-Sum\r\n`, chunks(["hello"], "X-Sum: 1\r\nx-other: \xe9\r\nX-Sum: 2\r\n")),
  ),
  regular("chunks with trailers that were not told", response("200 OK", chunked, chunks(["hello"], "X-Sum: 1\r\n"))),
  regular("trailers told that do not come", response("200 OK", `${chunked}Trailer: X-Sum\r\n`, chunks(["hello"]))),
  any(
    "trailers that may not be",
    response(
      "200 OK",
      chunked,
      chunks(
        ["a"],
        "Content-Length: 5\r\nTransfer-Encoding: x\r\nHost: a\r\nSet-Cookie: a=b\r\nCache-Control: x\r\nTrailer: y\r\nConnection: close\r\nContent-Type: z\r\nX-Ok: 1\r\n",
      ),
    ),
  ),
  any("empty and blank trailers", response("200 OK", chunked, chunks(["a"], "X-A:\r\nX-B:  b  \r\nX-C: \xe9\r\n"))),
  any("trailers that are malformed", response("200 OK", chunked, chunks(["a"], "X A: 1\r\n"))),
  any("trailers folded", response("200 OK", chunked, chunks(["a"], "X-A: 1\r\n 2\r\n"))),
  any("trailers without a colon", response("200 OK", chunked, chunks(["a"], "nonsense\r\n"))),
  any(
    "100 trailers",
    response("200 OK", chunked, chunks(["a"], Array.from({ length: 100 }, (_, i) => `X-${i}: ${i}\r\n`).join(""))),
  ),
  any("30 KiB of trailers", response("200 OK", chunked, chunks(["a"], `X-A: ${"t".repeat(30_000)}\r\n`))),
  any("70 KiB of trailers", response("200 OK", chunked, chunks(["a"], `X-A: ${"t".repeat(70_000)}\r\n`))),
  any("trailers with a length", sized("hello", "Trailer: X-Sum\r\n")),
  any("chunks of upper-case size", response("200 OK", chunked, "A\r\n0123456789\r\n0\r\n\r\n")),
  any("chunk sizes with zeros before them", response("200 OK", chunked, "0005\r\nhello\r\n000\r\n\r\n")),
  any("chunk extensions", response("200 OK", chunked, '5;a=b;c="d;e"\r\nhello\r\n0;x\r\n\r\n')),
  any("chunk extensions with blanks", response("200 OK", chunked, "5 ; a = b\r\nhello\r\n0\r\n\r\n")),
  any("30 KiB of chunk extensions", response("200 OK", chunked, `5;a=${"b".repeat(30_000)}\r\nhello\r\n0\r\n\r\n`)),
  ...[
    "g\r\nhello\r\n",
    "-5\r\nhello\r\n",
    "5\nhello\n",
    "5\r\nhelloX\r\n",
    "5\r\nhello\n",
    "5\r\nhello",
    "\r\nhello\r\n",
    " 5\r\nhello\r\n",
    "0x5\r\nhello\r\n",
    "fffffffffffffffff\r\nhello\r\n",
    "ffffffffffffffff\r\nhello\r\n",
    "7fffffffffffffff\r\nhello\r\n",
    "5\0\r\nhello\r\n",
    "5\r\r\nhello\r\n",
    "5\rXhello\r\n",
    "5\r\nhello\rX",
    "0\rX",
    "0\r\n\rX",
  ].map(
    (bad): LaneCase => ({
      ...any(`bad chunk ${JSON.stringify(bad)}`, ""),
      client: [send(request("GET /plain")), closed],
      upstream: [
        answer(
          send(response("200 OK", chunked, chunks(["abc"]).slice(0, -5))),
          clientHas("abc"),
          send(`${bad}0\r\n\r\n`),
        ),
      ],
      loose: "partial bodies",
    }),
  ),
  ...[
    "gzip",
    "gzip, chunked",
    "chunked, gzip",
    "Chunked",
    "CHUNKED",
    "identity",
    "chunked, chunked",
    "",
    "xchunked",
    "chunked;q=1",
    '"chunked"',
  ].map((coding) =>
    untilClose(
      `Transfer-Encoding: ${coding}`,
      response("200 OK", `Transfer-Encoding: ${coding}\r\n`, chunks(["hello"])),
    ),
  ),
  untilClose("Transfer-Encoding twice", response("200 OK", `${chunked}${chunked}`, chunks(["hello"]))),
  untilClose("Transfer-Encoding: gzip to HEAD", response("200 OK", "Transfer-Encoding: gzip\r\n"), "HEAD /plain"),
  untilClose(
    "Transfer-Encoding in odd case and spacing",
    response("200 OK", "tRANSFER-eNCODING:  chunked \r\n", chunks(["hello"])),
  ),
  untilClose("until close", response("200 OK", "X-A: 1\r\n", "hello")),
  untilClose("until close, empty", response("200 OK", "X-A: 1\r\n")),
  untilClose("until close, no field at all", response("200 OK", "", "hello")),
  untilClose("until close, although kept is said", response("200 OK", "Connection: keep-alive\r\n", "hello")),
  {
    name: "until close, with pauses",
    client: [send(request("GET /plain")), responses(1)],
    upstream: [
      answer(send(response("200 OK")), clientHas("\r\n\r\n"), send("one"), clientHas("one"), send("two"), end),
    ],
    regular: true,
  },
  {
    name: "until close, broken off",
    client: [send(request("GET /plain")), received("hello"), quiet],
    upstream: [answer(send(response("200 OK", "", "hello")), clientHas("hello"), reset)],
    regular: true,
  },
  ...["HEAD /plain", "HEAD /"].flatMap((line) => [
    regular(`${line}: a length`, response("200 OK", "Content-Length: 5\r\n"), line),
    regular(`${line}: chunked`, response("200 OK", `${chunked}Trailer: x\r\n`), line),
    regular(`${line}: nothing said`, response("200 OK", "X-A: 1\r\n"), line),
    any(`${line}: a length twice`, response("200 OK", "Content-Length: 5\r\nContent-Length: 5\r\n"), line),
    any(`${line}: a body all the same`, sized("hello"), line),
    any(`${line}: kept`, response("200 OK", "Connection: keep-alive\r\nContent-Length: 5\r\n"), line),
    any(`${line}: a 204`, response("204 R"), line),
    any(`${line}: a 304`, response("304 R", "Content-Length: 9\r\nETag: x\r\n"), line),
    untilClose(`${line}: closed`, response("200 OK", "X-A: 1\r\n"), line),
  ]),
  regular("a body of 1 MiB by length", sized("0123456789abcdef".repeat(65_536))),
  regular(
    "a body of 1 MiB in chunks",
    response(
      "200 OK",
      chunked,
      chunks(Array.from({ length: 64 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(16_384))),
    ),
  ),
  regular(
    "a body of every byte",
    sized(
      Array.from({ length: 256 }, (_, i) => String.fromCharCode(i))
        .join("")
        .repeat(20),
    ),
  ),
  {
    ...regular("500 chunks of a byte, a write each", ""),
    upstream: [
      answer(
        send(response("200 OK", chunked)),
        ...Array.from({ length: 500 }, (_, i) => send(`1\r\n${i % 10}\r\n`)),
        send("0\r\n\r\n"),
      ),
    ],
  },
  {
    ...regular("a head and a body in one write each", ""),
    upstream: [answer(...pieces(response("200 OK", "Content-Length: 5\r\n"), "he", "llo"))],
  },
  {
    ...regular("a head byte by byte", ""),
    upstream: [answer(...cut(sized("hello", "X-A: 1\r\n"), ...Array.from({ length: 55 }, (_, i) => i + 1)))],
  },
  {
    ...regular("a head that comes long before its body", ""),
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(send(response("200 OK", "Content-Length: 5\r\n")), clientHas("\r\n\r\n"), send("hello"))],
  },
  {
    ...regular("a chunked head that comes long before its body", ""),
    upstream: [
      answer(
        send(response("200 OK", chunked)),
        clientHas("\r\n\r\n"),
        send("5\r\nhello\r\n"),
        clientHas("hello"),
        send("0\r\n\r\n"),
      ),
    ],
  },
];

const interim = (name: string, bytes: string, line = "GET /plain"): LaneCase =>
  any(name, `${bytes}${sized("x")}`, line);
const informed: readonly LaneCase[] = [
  interim("a 100", "HTTP/1.1 100 Continue\r\n\r\n"),
  interim("a 101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
  interim("a 101 without Upgrade", "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
  interim("a 102", "HTTP/1.1 102 Processing\r\n\r\n"),
  interim("a 102 with fields", "HTTP/1.1 102 Hm\r\nX-A: 1\r\n\r\n"),
  interim("three 102", "HTTP/1.1 102 Processing\r\n\r\n".repeat(3)),
  interim("a 103", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"),
  interim(
    "a 103 with several Link lines",
    "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\nX-A: 1\r\nlink: </b.js>; rel=preload, </c>; rel=preconnect\r\n\r\n",
  ),
  interim("a 103 without Link", "HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n"),
  interim("a 103 with an empty Link", "HTTP/1.1 103 Early Hints\r\nLink:\r\n\r\n"),
  ...[
    '</a>; rel="preload stylesheet"',
    "<a,b>; rel=preload",
    '</a>; title="a, b"; rel=preload',
    "nonsense",
    "</a>",
    "</a>; rel=preload,",
    "</caf\xe9>; rel=preload",
    '</a>;rel=preload;as="style"',
    "<https://x.example/?a=b&c=d>; rel=preconnect; crossorigin",
    "</a>; rel=preload; nopush",
    "< /a >; rel=preload",
    "</a>;; rel=preload",
  ].map((link) => interim(`a 103 with Link: ${link}`, `HTTP/1.1 103 Early Hints\r\nLink: ${link}\r\n\r\n`)),
  interim("many 103", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n".repeat(50)),
  interim("a 104, a 199", "HTTP/1.1 104 Later\r\nX-A: 1\r\n\r\nHTTP/1.1 199 Misc\r\n\r\n"),
  interim(
    "102, 103 and 104 to HEAD",
    "HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 104 L\r\n\r\n",
    "HEAD /plain",
  ),
  interim("a 102 with a length", "HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n"),
  interim("a 103 with chunks said", `HTTP/1.1 103 E\r\n${chunked}Link: </a>; rel=preload\r\n\r\n`),
  interim("a 103 with Connection: close", "HTTP/1.1 103 E\r\nConnection: close\r\nLink: </a>; rel=preload\r\n\r\n"),
  {
    ...any("a 103 long before its answer", ""),
    upstream: [
      answer(
        send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"),
        clientHas("103"),
        send(sized("x")),
      ),
    ],
  },
  {
    ...any("a 103 and then nothing but the end", ""),
    upstream: [
      answer(send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"), clientHas("103"), end),
      answer(end),
    ],
  },
  {
    ...any("a 103, then a reset", "", "POST /plain"),
    upstream: [
      answer(send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"), clientHas("103"), reset),
    ],
  },
];

const malformed: readonly LaneCase[] = [
  ["garbage", "nonsense\r\n\r\n"],
  ["an empty line first", `\r\n${sized("x")}`],
  ["two empty lines first", `\r\n\r\n${sized("x")}`],
  ["blanks first", ` ${sized("x")}`],
  ["a bare LF after the status", "HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\nx"],
  ["bare LFs", "HTTP/1.1 200 OK\nContent-Length: 1\n\nx"],
  ["a bare LF after a field", "HTTP/1.1 200 OK\r\nX-A: 1\nContent-Length: 1\r\n\r\nx"],
  ["a bare LF at the head's end", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\nx"],
  ["a bare CR in a value", "HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 1\r\n\r\nx"],
  ["a bare CR at a line's end", "HTTP/1.1 200 OK\r\nX-A: a\r\r\nContent-Length: 1\r\n\r\nx"],
  ["a NUL in a value", "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 1\r\n\r\nx"],
  ["a control byte in a value", "HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 1\r\n\r\nx"],
  ["DEL in a value", "HTTP/1.1 200 OK\r\nX-A: a\x7fb\r\nContent-Length: 1\r\n\r\nx"],
  ["a fold", "HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 1\r\n\r\nx"],
  ["a fold of the first field", "HTTP/1.1 200 OK\r\n X-A: a\r\nContent-Length: 1\r\n\r\nx"],
  ["a blank before a colon", "HTTP/1.1 200 OK\r\nX-A : a\r\nContent-Length: 1\r\n\r\nx"],
  ["a blank before the length's colon", "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx"],
  ["no colon", "HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 1\r\n\r\nx"],
  ["no name", "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 1\r\n\r\nx"],
  ["a name that is no token", "HTTP/1.1 200 OK\r\nX(A): a\r\nContent-Length: 1\r\n\r\nx"],
  ["a name in obs-text", "HTTP/1.1 200 OK\r\nX-\xe9: a\r\nContent-Length: 1\r\n\r\nx"],
  ["an HTTP/1.1 request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a tab after the version", "HTTP/1.1\t200 OK\r\nContent-Length: 1\r\n\r\nx"],
  ["two blanks after the version", "HTTP/1.1  200 OK\r\nContent-Length: 1\r\n\r\nx"],
  ["a status that is no number", "HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\nx"],
].map(([name, bytes]): LaneCase => any(`malformed: ${name}`, bytes ?? ""));

const surplus: readonly LaneCase[] = [
  ["a second response", sized("hello") + sized("again")],
  ["bytes after the body", `${sized("hello")}surplus`],
  ["an empty line after the body", `${sized("hello")}\r\n`],
  ["bytes after the last chunk", `${response("200 OK", chunked, chunks(["a"]))}surplus`],
  ["bytes after a 204", `${response("204 R")}surplus`],
].flatMap(([name = "", bytes = ""]): LaneCase[] => [
  any(`surplus: ${name}`, bytes),
  {
    name: `surplus: ${name}, and another request`,
    client: [send(request("GET /plain/1")), responses(1), quiet, send(request("GET /plain/2")), responses(2)],
    upstream: [bytes],
  },
]);

const broken: readonly LaneCase[] = [
  {
    ...any("ends before it answers", ""),
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(end), answer(end)],
  },
  {
    ...any("resets before it answers", ""),
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(reset), answer(reset)],
  },
  {
    ...any("ends before it answers, once", ""),
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(end)],
  },
  {
    ...any("resets before it answers, once", ""),
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(reset)],
  },
  ...["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"].map(
    (method): LaneCase => ({
      ...any(`resets before it answers ${method}`, "", `${method} /plain`),
      upstream: [answer(reset)],
    }),
  ),
  ...["POST", "PUT", "DELETE"].map(
    (method): LaneCase => ({
      name: `resets before it answers ${method} with a body`,
      client: [send(request(`${method} /plain`, "Content-Length: 5\r\n", "hello")), responses(1)],
      methods: [method],
      upstream: [answer(reset)],
    }),
  ),
  {
    ...any("ends in the head", ""),
    upstream: [answer(send("HTTP/1.1 200 OK\r\nX-A: 1\r\n"), end), answer(send("HTTP/1.1 200 OK\r\nX-A: 1\r\n"), end)],
  },
  {
    ...any("resets in the head", ""),
    upstream: [
      answer(send("HTTP/1.1 200 OK\r\nX-A: 1\r\n"), reset),
      answer(send("HTTP/1.1 200 OK\r\nX-A: 1\r\n"), reset),
    ],
  },
  {
    ...any("resets in the head of a POST", "", "POST /plain"),
    upstream: [answer(send("HTTP/1.1 200 OK\r\nX-A: 1\r\n"), reset)],
  },
  { ...any("ends in the status line", ""), upstream: [answer(send("HTTP/1.1 2"), end), answer(send("HTT"), end)] },
  ...[
    ["length", "Content-Length: 10\r\n", "hello"],
    ["chunks", chunked, "5\r\nhello\r\n"],
    ["a chunk", chunked, "9\r\nhello"],
  ].flatMap(([name = "", framing = "", part = ""]): LaneCase[] => [
    {
      ...any(`ends in the body: ${name}`, ""),
      client: [send(request("GET /plain")), closed],
      upstream: [answer(send(response("200 OK", framing, part)), clientHas("hello"), end)],
      regular: true,
    },
    {
      ...any(`resets in the body: ${name}`, ""),
      client: [send(request("GET /plain")), closed],
      upstream: [answer(send(response("200 OK", framing, part)), clientHas("hello"), reset)],
      regular: true,
    },
    {
      ...any(`ends right after the head: ${name}`, ""),
      client: [send(request("GET /plain")), closed],
      upstream: [answer(send(response("200 OK", framing)), clientHas("\r\n\r\n"), end)],
    },
    {
      ...any(`resets in the body of a pinned request: ${name}`, ""),
      client: [send(request("GET /")), closed],
      upstream: [answer(send(response("200 OK", framing, part)), clientHas("hello"), reset)],
    },
  ]),
  {
    ...any("ends in the trailers", ""),
    client: [send(request("GET /plain")), closed],
    upstream: [
      answer(send(response("200 OK", chunked, "5\r\nhello\r\n")), clientHas("hello"), send("0\r\nX-A: 1\r\n"), end),
    ],
  },
  {
    ...any("resets after the body", ""),
    client: [send(request("GET /plain")), responses(1), quiet, send(request("GET /plain")), responses(2)],
    upstream: [answer(send(sized("hello")), clientHas("hello"), reset)],
  },
  {
    ...any("ends after the body", ""),
    client: [send(request("GET /plain")), responses(1), quiet, send(request("GET /plain")), responses(2)],
    upstream: [answer(send(sized("hello")), clientHas("hello"), end)],
  },
  {
    ...any("writes on an idle connection", ""),
    client: [send(request("GET /plain")), responses(1), quiet, send(request("GET /plain")), responses(2)],
    upstream: [answer(send(sized("hello")), clientHas("hello"), send(sized("unasked")))],
  },
  {
    ...any("answers twice as one write, then is asked again", ""),
    client: [send(request("GET /plain")), responses(1), send(request("POST /plain")), responses(2)],
    upstream: [sized("one") + sized("two")],
  },
  {
    ...any("closes a kept connection while it is asked again", ""),
    client: [send(request("GET /plain/1")), responses(1), quiet, send(request("GET /plain/2")), responses(2)],
    upstream: [sized("one"), answer(end), sized("two")],
  },
  {
    ...any("closes a kept connection while a POST is sent", ""),
    client: [
      send(request("GET /plain/1")),
      responses(1),
      quiet,
      send(request("POST /plain/2", "Content-Length: 2\r\n", "hi")),
      responses(2),
    ],
    upstream: [sized("one"), answer(end), sized("two")],
  },
  { ...any("nobody listens", "", "GET /dead"), upstream: [] },
  { ...any("nobody listens, HEAD", "", "HEAD /dead"), upstream: [] },
  {
    ...any("nobody listens, POST", "", "POST /dead"),
    client: request("POST /dead", "Content-Length: 5\r\n", "hello"),
    upstream: [],
  },
  {
    ...any("nobody listens, then another route", ""),
    client: [send(request("GET /dead")), responses(1), send(request("GET /plain")), responses(2)],
    upstream: [],
  },
  { ...any("nobody listens, JSON", ""), client: request("GET /dead", "Accept: application/json\r\n"), upstream: [] },
  {
    ...any("nobody listens for the assigned version: the default serves", ""),
    client: request("GET /half-dead", "X-User-Region: cn-east\r\n"),
    upstream: [],
  },
  {
    ...any("nobody listens for the version that an override asks for", ""),
    client: request("GET /half-dead", "X-Perch-Version: canary\r\n"),
    upstream: [],
  },
  {
    name: "never answers: the timeout",
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(), answer()],
  },
  {
    name: "never answers a POST: the timeout",
    client: [send(request("POST /plain", "Content-Length: 2\r\n", "hi")), responses(1)],
    upstream: [answer()],
  },
  {
    name: "stops in its head: the timeout",
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(send("HTTP/1.1 200 OK\r\nX-A: 1\r\n")), answer()],
  },
  {
    name: "stops in its body: the timeout",
    client: [send(request("GET /plain")), closed],
    upstream: [answer(send(response("200 OK", "Content-Length: 10\r\n", "hello")))],
  },
  {
    name: "stops in its chunks: the timeout",
    client: [send(request("GET /plain")), closed],
    upstream: [answer(send(response("200 OK", chunked, "5\r\nhello\r\n")))],
  },
  {
    name: "hints, then never answers: the timeout",
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(send("HTTP/1.1 103 E\r\nLink: </a>; rel=preload\r\n\r\n"))],
  },
];

/** An upstream that breaks its word as soon as it has answered, while the next request is already here. */
const unannounced: readonly LaneCase[] = ["GET", "POST"].flatMap((method): LaneCase[] => [
  {
    name: `ends unannounced with its answer, and a ${method} is behind it`,
    client: [send(request("GET /plain/1") + request(`${method} /plain/2`)), responses(2)],
    upstream: [answer(send(sized("one")), end)],
  },
  {
    name: `answers twice at once, and a ${method} is behind it`,
    client: [send(request("GET /plain/1") + request(`${method} /plain/2`)), responses(2)],
    upstream: [sized("one") + sized("two")],
  },
  {
    name: `answers twice in two writes, and a ${method} is behind it`,
    client: [send(request("GET /plain/1") + request(`${method} /plain/2`)), responses(2)],
    upstream: [answer(send(sized("one")), send(sized("two")))],
  },
]);

const early: readonly LaneCase[] = [
  {
    name: "answers before the body came, and keeps",
    client: [
      send(request("POST /plain", "Content-Length: 10\r\n", "hello")),
      responses(1),
      send("world"),
      quiet,
      send(request("GET /plain/2")),
      responses(2),
    ],
    methods: ["POST", "GET"],
    upstream: [earlyAnswer(send(sized("early")))],
  },
  {
    name: "answers before the chunked body came, and keeps",
    client: [
      send(request("POST /plain", chunked, "5\r\nhello\r\n")),
      responses(1),
      send("5\r\nworld\r\n0\r\n\r\n"),
      quiet,
      send(request("GET /plain/2")),
      responses(2),
    ],
    methods: ["POST", "GET"],
    upstream: [earlyAnswer(send(sized("early")))],
  },
  {
    name: "answers before the body came, and closes",
    client: [
      send(request("POST /plain", "Content-Length: 10\r\n", "hello")),
      responses(1),
      send("world"),
      quiet,
      send(request("GET /plain/2")),
      responses(2),
    ],
    methods: ["POST", "GET"],
    upstream: [earlyAnswer(send(sized("early", "Connection: close\r\n")), end)],
  },
  {
    name: "answers 413 and closes before a long body came",
    client: [
      send(request("POST /plain", "Content-Length: 100000\r\n", "x".repeat(1000))),
      upstreamHas("xxx"),
      responses(1),
      send("x".repeat(99_000)),
      quiet,
      send(request("GET /plain/2")),
      responses(2),
    ],
    methods: ["POST", "GET"],
    upstream: [earlyAnswer(send(sized("too large", "Connection: close\r\n", "413 R")), end)],
    loose: "partial bodies",
  },
  {
    name: "begins to answer before the body came, ends after it",
    client: [
      send(request("POST /plain", "Content-Length: 10\r\n", "hello")),
      upstreamHas("hello"),
      send("world"),
      responses(1),
    ],
    methods: ["POST"],
    upstream: [
      earlyAnswer(send(response("200 OK", "Content-Length: 5\r\n", "ea")), { received: "world" }, send("rly")),
    ],
  },
  {
    name: "resets before the body came",
    client: [send(request("POST /plain", "Content-Length: 10\r\n", "hello")), responses(1)],
    methods: ["POST"],
    upstream: [earlyAnswer({ received: "hello" }, reset)],
    loose: "partial bodies",
  },
  {
    name: "ends before the body came",
    client: [send(request("POST /plain", "Content-Length: 10\r\n", "hello")), responses(1)],
    methods: ["POST"],
    upstream: [earlyAnswer({ received: "hello" }, end)],
    loose: "partial bodies",
  },
  {
    name: "an early answer to a client that closes after it",
    client: [
      send(request("POST /plain", "Connection: close\r\nContent-Length: 10\r\n", "hello")),
      responses(1),
      send("world"),
      closed,
    ],
    methods: ["POST"],
    upstream: [earlyAnswer(send(sized("early")))],
  },
];

/** What ends with a timeout. */
const isTimed = ({ name }: LaneCase) => name.endsWith(": the timeout") || name.includes("fffffffffffffff\\r");
const untimed = (cases: readonly LaneCase[]) => cases.filter((laneCase) => !isTimed(laneCase));

compareCases("status lines", trusting, statusLines);
compareCases("response fields", trusting, fields);
compareCases("response bodies", trusting, untimed(bodies));
compareCases("interim responses", trusting, informed);
compareCases("malformed responses", trusting, [...malformed, ...surplus]);
compareCases("upstreams that break, stop or hurry", trusting, untimed([...broken, ...unannounced, ...early]));
compareCasesAtOnce("responses that take their time", trusting, [...bodies, ...broken].filter(isTimed));
