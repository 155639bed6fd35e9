import { describe, expect, it } from "vitest";
import { trusting } from "./configurations.ts";
import {
  answer,
  type ClientStep,
  chunked,
  chunks,
  cut,
  type LaneCase,
  request,
  response,
  responses,
  send,
} from "./lane-case.ts";
import { LanePair } from "./lane-pair.ts";

/** Exchanges of every framing. The responses have no reason phrase: the standard lane loses bytes of one in pieces. */
const exchanges: readonly (readonly [name: string, request: string, response: string])[] = [
  [
    "by length",
    request("POST /?region=cn-east", "X-User-Id: u1\r\nCookie: a=b; perch-version=x\r\nContent-Length: 5\r\n", "hello"),
    response("200 ", "Set-Cookie: a=b\r\nCache-Control: public\r\nX-A: \xe9\r\nContent-Length: 5\r\n", "world"),
  ],
  [
    "in chunks",
    request("PUT /plain", `Via: 1.0 a\r\n${chunked}`, chunks(["hel", "lo"], "X-T: 1\r\n")),
    response("200 ", `Connection: x-b\r\nX-B: 1\r\n${chunked}Trailer: X-T\r\n`, chunks(["wor", "ld"], "X-T: 1\r\n")),
  ],
  [
    "without bodies, with a hint",
    request("GET /plain", "Accept: */*\r\nConnection: keep-alive\r\n"),
    `HTTP/1.1 103 \r\nLink: </a>; rel=preload\r\n\r\n${response("204 ", "X-A: 1\r\n")}`,
  ],
  ["an empty body in chunks", request("POST /plain", chunked, chunks([])), response("200 ", chunked, chunks([]))],
  ["irregular", request("FETCH /plain", "Upgrade: x\r\n"), response("200 ", "Content-Length: 2\r\n", "ok")],
  [
    "malformed",
    "GET /plain HTTP/1.1\r\nHost: shop.example\r\nX-A : 1\r\n\r\n",
    response("200 ", "Content-Length: 2\r\n", "ok"),
  ],
];

/** How many exchanges share a connection. */
const perCase = 16;

/** Both messages, cut at each position, on persistent connections where the exchange has them. */
function everyBoundary(name: string, sent: string, answered: string): LaneCase[] {
  const method = sent.slice(0, sent.indexOf(" "));
  const requestCuts = Array.from({ length: sent.length - 1 }, (_, i) => cut(sent, i + 1));
  const keeps = name !== "irregular" && name !== "malformed";
  const together = keeps ? perCase : 1;
  const cases: LaneCase[] = [];
  for (let at = 0; at < requestCuts.length; at += together) {
    const client = requestCuts
      .slice(at, at + together)
      .flatMap((steps, i): ClientStep[] => [...steps, responses(i + 1)]);
    cases.push({
      name: `${name}: request cut from ${at + 1}`,
      client: keeps ? client : client.slice(0, -1),
      methods: [method],
      upstream: Array.from({ length: together }, () => answered),
      regular: keeps,
    });
  }
  if (!keeps) return cases;
  const responseCuts = Array.from({ length: answered.length - 1 }, (_, i) => cut(answered, i + 1));
  for (let at = 0; at < responseCuts.length; at += together) {
    const some = responseCuts.slice(at, at + together);
    cases.push({
      name: `${name}: response cut from ${at + 1}`,
      client: some.flatMap((_, i) => [send(sent), responses(i + 1)]),
      methods: [method],
      upstream: some.map((steps) => answer(...steps)),
      regular: true,
    });
  }
  return cases;
}

describe("every byte's boundary", () => {
  const pair = LanePair.forSuite(trusting);

  it.each(exchanges)(
    "an exchange %s is the same wherever it is cut",
    { tags: ["slow"], timeout: 60_000 },
    async (name, sent, answered) => {
      const differing = await pair().differing(everyBoundary(name, sent, answered));
      expect(differing.size, [...differing.values()].slice(0, 3).join("\n\n")).toBe(0);
    },
  );
});
