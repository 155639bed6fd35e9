/** @module-tag slow */
import { compareCases } from "./compare-cases.ts";
import { trusting } from "./configurations.ts";
import {
  answer,
  chunked,
  chunks,
  clientHas,
  end,
  type LaneCase,
  quiet,
  request,
  reset,
  response,
  responses,
  send,
  sized,
} from "./lane-case.ts";
import { answered, regular, untilClose } from "./response-cases.ts";

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
    answered(`status ${status} with a body`, sized("body", "X-A: 1\r\n", `${status} R`)),
  ]),
  ...[204, 205, 304].flatMap((status) => [
    answered(`status ${status}, nothing said`, response(`${status} R`)),
    answered(`status ${status}, a length of 5 and no body`, response(`${status} R`, "Content-Length: 5\r\n")),
    answered(`status ${status}, chunked and nothing`, response(`${status} R`, chunked)),
    answered(`status ${status}, chunked and empty`, response(`${status} R`, chunked, chunks([]))),
    answered(`status ${status}, chunked`, response(`${status} R`, chunked, chunks(["abc"]))),
    untilClose(`status ${status}, then closed`, response(`${status} R`)),
  ]),
  answered("status 600", sized("x", "", "600 R")),
  answered("status 999", sized("x", "", "999 R")),
  answered("status 099", sized("x", "", "099 R")),
  answered("status 20", sized("x", "", "20 OK")),
  answered("status 2000", sized("x", "", "2000 OK")),
  ...["", "\tOK\t", "A B C", "OK  ", " OK", "caf\xe9", "a\x01b", "a\x7fb", "OK\0", "x".repeat(2000)].map((reason) =>
    answered(`reason ${JSON.stringify(reason.slice(0, 20))}`, sized("x", "", `200 ${reason}`)),
  ),
  answered("no reason and no blank", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx"),
  ...["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "ICY", "HTTP/1.1 "].map((version) =>
    untilClose(`version ${version}`, `${version} 200 OK\r\nContent-Length: 1\r\n\r\nx`),
  ),
  untilClose("HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nbody"),
  answered("HTTP/1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"),
  answered("HTTP/1.0 chunked", `HTTP/1.0 200 OK\r\n${chunked}\r\n${chunks(["abc"])}`),
];

const fields: readonly LaneCase[] = [
  regular(
    "fields in order and case",
    sized("x", "X-B: 1\r\nx-a: 2\r\nSERVER: s\r\nX-B: 3\r\nSet-Cookie: a\r\nset-cookie: b\r\n"),
  ),
  regular("a Date of its own", sized("x", "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n")),
  regular("two Dates", sized("x", "date: Thu, 01 Jan 1970 00:00:00 GMT\r\nDate: x\r\n")),
  answered("a Date that is empty", sized("x", "Date:\r\n")),
  answered(
    "empty values and blanks",
    sized("x", "X-A:\r\nX-B: \r\nX-C:  c  \r\nX-D:\td\t\r\nX-E:e\r\nX-F: a  b\tc\r\n"),
  ),
  answered("trailing blanks", sized("x", "X-A: a \r\nX-B: b\t\r\n")),
  regular("obs-text", sized("x", "X-A: caf\xe9 \x80\xff\r\nX-B: \xc3\xa9\r\n")),
  answered("odd names", sized("x", "!#$%&'*+-.^_`|~0: 1\r\nconstructor: 2\r\n__proto__: 3\r\n")),
  answered(
    "hop-by-hop fields",
    sized(
      "x",
      "Keep-Alive: timeout=9\r\nProxy-Connection: x\r\nProxy-Authenticate: y\r\nTE: z\r\nUpgrade: h2c\r\nTrailer: X\r\nProxy-Authorization: w\r\n",
    ),
  ),
  answered("Proxy-Authenticate with a 407", sized("x", "Proxy-Authenticate: y\r\n", "407 R")),
  regular("Connection: keep-alive", sized("x", "Connection: keep-alive\r\n")),
  answered("Connection: close", sized("x", "Connection: close\r\n")),
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
  answered("Connection names fields", sized("x", "X-A: 1\r\nConnection: x-a, X-B , close\r\nX-B: 2\r\nX-C: 3\r\n")),
  answered(
    "Connection names fields in two lines",
    sized("x", "Connection: x-a\r\nX-A: 1\r\nConnection: X-B\r\nX-B: 2\r\n"),
  ),
  answered("Connection names the length", sized("abc", "Connection: content-length\r\n")),
  answered(
    "Connection names the length, last",
    response("200 OK", "Content-Length: 3\r\nConnection: Content-Length\r\n", "abc"),
  ),
  answered("Connection names Date", sized("x", "Connection: date\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n")),
  answered(
    "Connection names Set-Cookie and Cache-Control",
    sized("x", "Connection: set-cookie, cache-control\r\nSet-Cookie: a=b\r\nCache-Control: no-store\r\n"),
    "GET /",
  ),
  answered("Connection names x-perch-version", sized("x", "Connection: x-perch-version\r\n")),
  answered("Keep-Alive that leaves no time", sized("x", "Keep-Alive: timeout=0\r\n")),
  regular("100 fields", sized("x", Array.from({ length: 99 }, (_, i) => `X-${i}: ${i}\r\n`).join(""))),
  answered("300 fields", sized("x", Array.from({ length: 299 }, (_, i) => `X-${i}: ${i}\r\n`).join(""))),
  answered("2,000 fields", sized("x", Array.from({ length: 2000 }, (_, i) => `X-${i}: ${i}\r\n`).join(""))),
  answered("a head of 30 KiB", sized("x", `X-A: ${"x".repeat(30_000)}\r\n`)),
  answered("a head of 60 KiB", sized("x", `X-A: ${"x".repeat(60_000)}\r\n`)),
  answered("a head of 70 KiB", sized("x", `X-A: ${"x".repeat(70_000)}\r\n`)),
  answered("no fields at all but a length", sized("x")),
  answered(
    "Alt-Svc and Server-Timing",
    sized("x", 'Alt-Svc: h3=":443"\r\nServer-Timing: a;dur=1\r\nStrict-Transport-Security: max-age=1\r\n'),
  ),
];

/** RFC 9110 §8.6: a 204 has no Content-Length, whoever set it. */
const bodiless: readonly LaneCase[] = [
  answered("a 204 with a length of zero", response("204 R", "Content-Length: 0\r\nX-A: 1\r\n")),
  answered("a 204 with a length", response("204 R", "X-A: 1\r\nContent-Length: 5\r\n")),
  answered(
    "a 204 with a length that Connection names",
    response("204 R", "Connection: content-length\r\nContent-Length: 0\r\n"),
  ),
  answered("a 204 with chunks said", response("204 R", chunked)),
  answered("a 304 with chunks said", response("304 R", chunked)),
  answered("a 304 with a length", response("304 R", "Content-Length: 5\r\n")),
  answered("a 205 with a length of zero", response("205 R", "Content-Length: 0\r\n")),
  answered("a 205 without a length", `${response("205 R", chunked)}0\r\n\r\n`),
];

const interim = (name: string, bytes: string, line = "GET /plain"): LaneCase =>
  answered(name, `${bytes}${sized("x")}`, line);
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
    ...answered("a 103 long before its answer", ""),
    upstream: [
      answer(
        send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"),
        clientHas("103"),
        send(sized("x")),
      ),
    ],
  },
  {
    ...answered("a 103 and then nothing but the end", ""),
    upstream: [
      answer(send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"), clientHas("103"), end),
      answer(end),
    ],
  },
  {
    ...answered("a 103, then a reset", "", "POST /plain"),
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
].map(([name, bytes]): LaneCase => answered(`malformed: ${name}`, bytes ?? ""));

const surplus: readonly LaneCase[] = [
  ["a second response", sized("hello") + sized("again")],
  ["bytes after the body", `${sized("hello")}surplus`],
  ["an empty line after the body", `${sized("hello")}\r\n`],
  ["bytes after the last chunk", `${response("200 OK", chunked, chunks(["a"]))}surplus`],
  ["bytes after a 204", `${response("204 R")}surplus`],
].flatMap(([name = "", bytes = ""]): LaneCase[] => [
  answered(`surplus: ${name}`, bytes),
  {
    name: `surplus: ${name}, and another request`,
    client: [send(request("GET /plain/1")), responses(1), quiet, send(request("GET /plain/2")), responses(2)],
    upstream: [bytes],
  },
]);

compareCases("status lines", trusting, statusLines);
compareCases("response fields", trusting, fields);
compareCases("responses without a body", trusting, bodiless);
compareCases("interim responses", trusting, informed);
compareCases("malformed responses", trusting, [...malformed, ...surplus]);
