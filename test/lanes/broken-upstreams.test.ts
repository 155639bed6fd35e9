/** @module-tag slow */
import { compareCases, compareCasesAtOnce } from "./compare-cases.ts";
import { trusting } from "./configurations.ts";
import {
  answer,
  type ClientStep,
  chunked,
  clientHas,
  closed,
  earlyAnswer,
  end,
  type LaneCase,
  quiet,
  request,
  reset,
  response,
  responses,
  send,
  sized,
  upstreamHas,
} from "./lane-case.ts";
import { answered, isTimed, untimed } from "./response-cases.ts";

const broken: readonly LaneCase[] = [
  {
    ...answered("ends before it answers", ""),
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(end), answer(end)],
  },
  {
    ...answered("resets before it answers", ""),
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(reset), answer(reset)],
  },
  {
    ...answered("ends before it answers, once", ""),
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(end)],
  },
  {
    ...answered("resets before it answers, once", ""),
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(reset)],
  },
  ...["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"].map(
    (method): LaneCase => ({
      ...answered(`resets before it answers ${method}`, "", `${method} /plain`),
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
    ...answered("ends in the head", ""),
    upstream: [answer(send("HTTP/1.1 200 OK\r\nX-A: 1\r\n"), end), answer(send("HTTP/1.1 200 OK\r\nX-A: 1\r\n"), end)],
  },
  {
    ...answered("resets in the head", ""),
    upstream: [
      answer(send("HTTP/1.1 200 OK\r\nX-A: 1\r\n"), reset),
      answer(send("HTTP/1.1 200 OK\r\nX-A: 1\r\n"), reset),
    ],
  },
  {
    ...answered("resets in the head of a POST", "", "POST /plain"),
    upstream: [answer(send("HTTP/1.1 200 OK\r\nX-A: 1\r\n"), reset)],
  },
  { ...answered("ends in the status line", ""), upstream: [answer(send("HTTP/1.1 2"), end), answer(send("HTT"), end)] },
  ...[
    ["length", "Content-Length: 10\r\n", "hello"],
    ["chunks", chunked, "5\r\nhello\r\n"],
    ["a chunk", chunked, "9\r\nhello"],
  ].flatMap(([name = "", framing = "", part = ""]): LaneCase[] => [
    {
      ...answered(`ends in the body: ${name}`, ""),
      client: [send(request("GET /plain")), closed],
      upstream: [answer(send(response("200 OK", framing, part)), clientHas("hello"), end)],
      regular: true,
    },
    {
      ...answered(`resets in the body: ${name}`, ""),
      client: [send(request("GET /plain")), closed],
      upstream: [answer(send(response("200 OK", framing, part)), clientHas("hello"), reset)],
      regular: true,
    },
    {
      ...answered(`ends right after the head: ${name}`, ""),
      client: [send(request("GET /plain")), closed],
      upstream: [answer(send(response("200 OK", framing)), clientHas("\r\n\r\n"), end)],
    },
    {
      ...answered(`resets in the body of a pinned request: ${name}`, ""),
      client: [send(request("GET /")), closed],
      upstream: [answer(send(response("200 OK", framing, part)), clientHas("hello"), reset)],
    },
  ]),
  {
    ...answered("ends in the trailers", ""),
    client: [send(request("GET /plain")), closed],
    upstream: [
      answer(send(response("200 OK", chunked, "5\r\nhello\r\n")), clientHas("hello"), send("0\r\nX-A: 1\r\n"), end),
    ],
  },
  {
    ...answered("resets after the body", ""),
    client: [send(request("GET /plain")), responses(1), quiet, send(request("GET /plain")), responses(2)],
    upstream: [answer(send(sized("hello")), clientHas("hello"), reset)],
  },
  {
    ...answered("ends after the body", ""),
    client: [send(request("GET /plain")), responses(1), quiet, send(request("GET /plain")), responses(2)],
    upstream: [answer(send(sized("hello")), clientHas("hello"), end)],
  },
  {
    ...answered("writes on an idle connection", ""),
    client: [send(request("GET /plain")), responses(1), quiet, send(request("GET /plain")), responses(2)],
    upstream: [answer(send(sized("hello")), clientHas("hello"), send(sized("unasked")))],
  },
  {
    ...answered("answers twice as one write, then is asked again", ""),
    client: [send(request("GET /plain")), responses(1), send(request("POST /plain")), responses(2)],
    upstream: [sized("one") + sized("two")],
  },
  {
    ...answered("closes a kept connection while it is asked again", ""),
    client: [send(request("GET /plain/1")), responses(1), quiet, send(request("GET /plain/2")), responses(2)],
    upstream: [sized("one"), answer(end), sized("two")],
  },
  {
    ...answered("closes a kept connection while a POST is sent", ""),
    client: [
      send(request("GET /plain/1")),
      responses(1),
      quiet,
      send(request("POST /plain/2", "Content-Length: 2\r\n", "hi")),
      responses(2),
    ],
    upstream: [sized("one"), answer(end), sized("two")],
  },
  { ...answered("nobody listens", "", "GET /dead"), upstream: [] },
  { ...answered("nobody listens, HEAD", "", "HEAD /dead"), upstream: [] },
  {
    ...answered("nobody listens, POST", "", "POST /dead"),
    client: request("POST /dead", "Content-Length: 5\r\n", "hello"),
    upstream: [],
  },
  {
    ...answered("nobody listens, then another route", ""),
    client: [send(request("GET /dead")), responses(1), send(request("GET /plain")), responses(2)],
    upstream: [],
  },
  {
    ...answered("nobody listens, JSON", ""),
    client: request("GET /dead", "Accept: application/json\r\n"),
    upstream: [],
  },
  {
    ...answered("nobody listens for the assigned version: the default serves", ""),
    client: request("GET /half-dead", "X-User-Region: cn-east\r\n"),
    upstream: [],
  },
  {
    ...answered("nobody listens for the version that an override asks for", ""),
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

/** An upstream that closes or sends a second response right behind the first, while the next request waits. */
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

/** A client that sends the rest of its upload after the response, and then another request. */
const overtaken = (upload: ClientStep, rest: string): ClientStep[] => [
  upload,
  responses(1),
  send(rest),
  quiet,
  send(request("GET /plain/2")),
  responses(2),
];

const early: readonly LaneCase[] = [
  {
    name: "answers before the body came, and keeps",
    client: overtaken(send(request("POST /plain", "Content-Length: 10\r\n", "hello")), "world"),
    methods: ["POST", "GET"],
    upstream: [earlyAnswer(send(sized("early")))],
  },
  {
    name: "answers before the chunked body came, and keeps",
    client: overtaken(send(request("POST /plain", chunked, "5\r\nhello\r\n")), "5\r\nworld\r\n0\r\n\r\n"),
    methods: ["POST", "GET"],
    upstream: [earlyAnswer(send(sized("early")))],
  },
  {
    name: "answers before the body came, and closes",
    client: overtaken(send(request("POST /plain", "Content-Length: 10\r\n", "hello")), "world"),
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

compareCases("upstreams that break, stop or hurry", trusting, untimed([...broken, ...unannounced, ...early]));
compareCasesAtOnce("responses that take their time", trusting, broken.filter(isTimed));
