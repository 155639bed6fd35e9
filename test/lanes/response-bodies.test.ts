/** @module-tag slow */
import { compareCases, compareCasesAtOnce } from "./compare-cases.ts";
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
  pieces,
  quiet,
  received,
  request,
  reset,
  response,
  responses,
  send,
  sized,
} from "./lane-case.ts";
import { answered, isTimed, regular, untilClose, untimed } from "./response-cases.ts";

const bodies: readonly LaneCase[] = [
  regular("a length", sized("hello")),
  regular("a length of 0", sized("")),
  answered("a length with zeros before it", response("200 OK", "Content-Length: 005\r\n", "hello")),
  answered("a length twice, the same", response("200 OK", "Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
  answered("a length twice, as a list", response("200 OK", "Content-Length: 5, 5\r\n", "hello")),
  answered("two lengths", response("200 OK", "Content-Length: 5\r\nContent-Length: 4\r\n", "hello")),
  answered("a length that is none", response("200 OK", "Content-Length: five\r\n", "hello")),
  answered("an empty length", response("200 OK", "Content-Length:\r\n", "hello")),
  answered("a length below zero", response("200 OK", "Content-Length: -5\r\n", "hello")),
  answered("a length with a plus", response("200 OK", "Content-Length: +5\r\n", "hello")),
  answered("a length in hexadecimal", response("200 OK", "Content-Length: 0x5\r\n", "hello")),
  answered("a length beyond 64 bits", response("200 OK", "Content-Length: 99999999999999999999\r\n", "hello")),
  answered("blanks in a length", response("200 OK", "Content-Length: 5 5\r\n", "hello")),
  answered("blanks around a length", response("200 OK", "Content-Length: \t5 \t\r\n", "hello")),
  answered("a length and chunks", response("200 OK", `Content-Length: 5\r\n${chunked}`, chunks(["hello"]))),
  answered("chunks and a length", response("200 OK", `${chunked}Content-Length: 5\r\n`, chunks(["hello"]))),
  regular("chunks", response("200 OK", chunked, chunks(["hel", "lo", "x".repeat(300)]))),
  regular("no chunk", response("200 OK", chunked, chunks([]))),
  regular(
    "chunks with trailers",
    response("200 OK", `${chunked}Trailer: X-Sum\r\n`, chunks(["hello"], "X-Sum: 1\r\nx-other: \xe9\r\nX-Sum: 2\r\n")),
  ),
  regular("chunks with trailers that were not told", response("200 OK", chunked, chunks(["hello"], "X-Sum: 1\r\n"))),
  regular("trailers told that do not come", response("200 OK", `${chunked}Trailer: X-Sum\r\n`, chunks(["hello"]))),
  answered(
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
  answered(
    "empty and blank trailers",
    response("200 OK", chunked, chunks(["a"], "X-A:\r\nX-B:  b  \r\nX-C: \xe9\r\n")),
  ),
  answered("trailers that are malformed", response("200 OK", chunked, chunks(["a"], "X A: 1\r\n"))),
  answered("trailers folded", response("200 OK", chunked, chunks(["a"], "X-A: 1\r\n 2\r\n"))),
  answered("trailers without a colon", response("200 OK", chunked, chunks(["a"], "nonsense\r\n"))),
  answered(
    "100 trailers",
    response("200 OK", chunked, chunks(["a"], Array.from({ length: 100 }, (_, i) => `X-${i}: ${i}\r\n`).join(""))),
  ),
  answered("30 KiB of trailers", response("200 OK", chunked, chunks(["a"], `X-A: ${"t".repeat(30_000)}\r\n`))),
  answered("70 KiB of trailers", response("200 OK", chunked, chunks(["a"], `X-A: ${"t".repeat(70_000)}\r\n`))),
  answered("trailers with a length", sized("hello", "Trailer: X-Sum\r\n")),
  answered("chunks of upper-case size", response("200 OK", chunked, "A\r\n0123456789\r\n0\r\n\r\n")),
  answered("chunk sizes with zeros before them", response("200 OK", chunked, "0005\r\nhello\r\n000\r\n\r\n")),
  answered("chunk extensions", response("200 OK", chunked, '5;a=b;c="d;e"\r\nhello\r\n0;x\r\n\r\n')),
  answered("chunk extensions with blanks", response("200 OK", chunked, "5 ; a = b\r\nhello\r\n0\r\n\r\n")),
  answered(
    "30 KiB of chunk extensions",
    response("200 OK", chunked, `5;a=${"b".repeat(30_000)}\r\nhello\r\n0\r\n\r\n`),
  ),
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
      ...answered(`bad chunk ${JSON.stringify(bad)}`, ""),
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
    answered(`${line}: a length twice`, response("200 OK", "Content-Length: 5\r\nContent-Length: 5\r\n"), line),
    answered(`${line}: a body all the same`, sized("hello"), line),
    answered(`${line}: kept`, response("200 OK", "Connection: keep-alive\r\nContent-Length: 5\r\n"), line),
    answered(`${line}: a 204`, response("204 R"), line),
    answered(`${line}: a 304`, response("304 R", "Content-Length: 9\r\nETag: x\r\n"), line),
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

compareCases("response bodies", trusting, untimed(bodies));
compareCasesAtOnce("responses that take their time", trusting, bodies.filter(isTimed));
