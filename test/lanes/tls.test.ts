import { compareCases, compareCasesAtOnce } from "./compare-cases.ts";
import { trusting, untrusting } from "./configurations.ts";
import type { LaneConfig, Origins } from "./lane.ts";
import {
  answer,
  chunked,
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

const overTls = (configure: (origins: Origins, folder: string) => LaneConfig) => (origins: Origins, folder: string) =>
  ({ ...configure(origins, folder), transport: "tls" }) as const;

/** More than the buffers of sockets and streams hold. */
const large = "0123456789abcdef".repeat(64 * 1024);
const post = (body: string) => request("POST /plain", `Content-Length: ${body.length}\r\n`, body);

const regular: readonly LaneCase[] = [
  { name: "a GET", client: request() },
  { name: "a HEAD", client: request("HEAD /plain"), methods: ["HEAD"] },
  { name: "a head in pieces", client: cut(request("GET /plain", "X-A: b\r\n"), 1, 5, 20, 40) },
  { name: "requests one after another", client: [send(request()), responses(1), send(request()), responses(2)] },
  { name: "requests at once", client: request() + request("GET /plain") + request("GET /plain/last") },
  { name: "a body", client: post("hello") },
  { name: "a body in pieces", client: cut(post("hello"), 20, 60, 62) },
  { name: "a large body", client: [send(post(large)), responses(1)] },
  { name: "a chunked body", client: request("POST /plain", chunked, chunks(["one", "two"])) },
  { name: "a large response", client: [send(request("GET /plain")), responses(1)], upstream: [sized(large)] },
  {
    name: "a response in pieces",
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(...cut(sized("hello"), 5, 30, 40))],
  },
  {
    name: "a response as it comes",
    client: [send(request("GET /plain")), received("one"), responses(1)],
    upstream: [
      answer(send(response("200 OK", chunked, "3\r\none\r\n")), clientHas("one"), send("3\r\ntwo\r\n0\r\n\r\n")),
    ],
  },
  {
    name: "a response until the end",
    client: [send(request("GET /plain")), responses(1)],
    upstream: [answer(send(response("200 OK", "", "until the end")), end)],
  },
  { name: "a close that was asked for", client: [send(request("GET /", "Connection: close\r\n")), closed] },
  {
    name: "an early answer",
    client: [send(request("POST /plain", "Content-Length: 9\r\n", "half")), responses(1)],
    upstream: [earlyAnswer(send(sized("no", "Connection: close\r\n", "413 No")))],
  },
  { name: "a client that ends", client: [send(request()), responses(1), end] },
  { name: "a client that resets", client: [send(request()), responses(1), reset] },
].map((laneCase) => ({ ...laneCase, regular: true }));

const handedOver: readonly LaneCase[] = [
  { name: "HTTP/1.0", client: "GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n" },
  { name: "no route", client: "GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n" },
  {
    name: "no route, then a request",
    client: [send("GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n"), responses(1), send(request()), responses(2)],
  },
  {
    name: "a request, then one that is odd",
    client: [send(request()), responses(1), send(request("PURGE /plain")), responses(2)],
  },
  { name: "requests at once, the second odd", client: request() + request("PURGE /plain") + request() },
  {
    name: "Expect, with its body in pieces",
    client: [
      send(request("POST /plain", "Expect: 100-continue\r\nContent-Length: 6\r\n")),
      received("100 Continue"),
      ...pieces("abc", "def"),
      responses(1),
    ],
  },
  {
    name: "an upgrade",
    client: [
      send(
        request(
          "GET /plain",
          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        ),
      ),
      received("\r\n\r\n"),
      send("to the upstream"),
      upstreamHas("to the upstream"),
      quiet,
      end,
    ],
    upstream: [
      answer(
        send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        ),
      ),
    ],
  },
  { name: "what is no HTTP", client: "hello\r\n\r\n" },
  {
    name: "a smuggler's framing",
    client: request("POST /plain", `${chunked}Content-Length: 5\r\n`, "0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
  },
];

const broken: readonly LaneCase[] = [
  {
    name: "a client that resets in its body",
    client: [send(request("POST /plain", "Content-Length: 9\r\n", "half")), upstreamHas("half"), reset],
    loose: "partial bodies",
  },
  {
    name: "a client that ends in its body",
    client: [send(request("POST /plain", "Content-Length: 9\r\n", "half")), upstreamHas("half"), end],
    loose: "partial bodies",
  },
  {
    name: "a response that breaks off",
    client: [send(request("GET /plain")), closed],
    upstream: [answer(send(response("200 OK", "Content-Length: 9\r\n", "half")), reset)],
    loose: "partial bodies",
  },
];

compareCases("over TLS", overTls(trusting), regular);
compareCases("over TLS, not for the fast lane", overTls(untrusting), handedOver);
compareCasesAtOnce("over TLS, broken off", overTls(untrusting), broken);
