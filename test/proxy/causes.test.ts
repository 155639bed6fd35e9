/** @module-tag slow */
import { describe, expect, it } from "vitest";
import { errorTable } from "../../src/errors.ts";
import { TestDnsServer } from "../kit/dns-server.ts";
import { rawClient, rawUpstream } from "../kit/freed.ts";
import { H2Client, h2cListener } from "../kit/h2-client.ts";
import { h2Upstream } from "../kit/h2-upstream.ts";
import { exchange, lanes, requestsInFlight, shopYaml } from "../kit/one-service.ts";
import { loggedPerch } from "../kit/served.ts";
import { refusedOrigin } from "../kit/upstream.ts";

const host = "Host: shop.example\r\n";
const chunked = "Transfer-Encoding: chunked\r\n";
const get = (target: string, fields = host) => `GET ${target} HTTP/1.1\r\n${fields}\r\n`;
const post = (fields: string, body = "") => `POST /a HTTP/1.1\r\n${host}${fields}\r\n${body}`;

type RefusedCase = readonly [sentence: string, bytes: string, answer: string, shown?: readonly string[]];

/** What is refused, with the status, error and cause, and the method, host and path that the log shows. */
const requests: readonly RefusedCase[] = [
  ["raw UTF-8 in a query", get("/?q=\xe5\x8c\x97"), "400 bad-request invalid-target-character"],
  ["raw UTF-8 in a path", get("/\xe5"), "400 bad-request invalid-target-character"],
  ["a control character in the target", get("/a\x01b"), "400 bad-request invalid-target-character"],
  ["a fragment", get("/a#b"), "400 bad-request invalid-target-character", ["GET", "shop.example", "/a"]],
  ["a blank in a header name", get("/", `${host}X Bad: 1\r\n`), "400 bad-request invalid-header-name"],
  ["a blank before a colon", get("/", `${host}X-A : 1\r\n`), "400 bad-request invalid-header-name"],
  ["a NUL in a header value", get("/", `${host}X: a\0\r\n`), "400 bad-request invalid-header-value"],
  ["a folded header", get("/", `${host}X: a\r\n b\r\n`), "400 bad-request folded-header"],
  ["a bare CR in a value", get("/", `${host}X: a\rb\r\n`), "400 bad-request invalid-line-ending"],
  ["a bare LF", "GET / HTTP/1.1\r\nHost: a\n\r\n", "400 bad-request invalid-line-ending"],
  ["a method in lower case", `get / HTTP/1.1\r\n${host}\r\n`, "400 bad-request invalid-method"],
  ["HTTP/1.10", `GET / HTTP/1.10\r\n${host}\r\n`, "400 bad-request invalid-version"],
  ["HTTP/2.0", `GET /b?q=1 HTTP/2.0\r\n${host}\r\n`, "400 bad-request invalid-version", ["GET", "shop.example", "/b"]],
  ["RTSP", `OPTIONS / RTSP/1.0\r\n${host}\r\n`, "400 bad-request other-protocol", ["OPTIONS", "shop.example", "/"]],
  [
    "asterisk-form",
    `OPTIONS * HTTP/1.1\r\n${host}\r\n`,
    "400 bad-request invalid-target",
    ["OPTIONS", "shop.example", ""],
  ],
  ["a target without a slash", get("a"), "400 bad-request invalid-target-character"],
  ["CONNECT", `CONNECT a:443 HTTP/1.1\r\n${host}\r\n`, "400 bad-request unsupported-method", ["CONNECT", "", ""]],
  ["no Host", get("/a", ""), "400 bad-request missing-host", ["GET", "", "/a"]],
  ["two Hosts", get("/a", host + host), "400 bad-request several-hosts", ["GET", "shop.example", "/a"]],
  ["an invalid Host", get("/a", "Host: a b\r\n"), "400 bad-request invalid-host", ["GET", "", "/a"]],
  ["two lengths", post("Content-Length: 1\r\nContent-Length: 1\r\n", "x"), "400 bad-request conflicting-lengths"],
  ["a signed length", post("Content-Length: +1\r\n", "x"), "400 bad-request invalid-content-length"],
  ["a length and chunks", post(`Content-Length: 1\r\n${chunked}`), "400 bad-request length-and-chunks"],
  ["chunks and a length", post(`${chunked}Content-Length: 1\r\n`), "400 bad-request length-and-chunks"],
  [
    "the coding identity",
    post("Transfer-Encoding: identity\r\n"),
    "400 bad-request unsupported-transfer-encoding",
    ["POST", "shop.example", "/a"],
  ],
  [
    "gzip, then chunked",
    post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
    "400 bad-request unsupported-transfer-encoding",
    ["POST", "shop.example", "/a"],
  ],
  [
    "an ambiguous path",
    get("/a/%2e%2e%2fb"),
    "400 bad-request ambiguous-path",
    ["GET", "shop.example", "/a/%2e%2e%2fb"],
  ],
  ["a long target", get(`/${"a".repeat(100)}`), "414 uri-too-long target-size", ["GET", "shop.example"]],
  ["many headers", get("/a", host + "X: y\r\n".repeat(20)), "431 headers-too-large count", ["GET", "shop.example"]],
  ["many cookies", get("/a", `${host}Cookie: a=1; b=2; c=3\r\n`), "431 headers-too-large cookies", ["GET"]],
  ["large headers", get("/a", `${host}X: ${"y".repeat(3_000)}\r\n`), "431 headers-too-large size"],
  ["an unknown expectation", get("/a", `${host}Expect: x\r\n`), "417 expectation-failed unknown-expectation", ["GET"]],
  [
    "a body over the limit",
    post("Content-Length: 99\r\n", "x".repeat(99)),
    "413 body-too-large content-length",
    ["POST"],
  ],
  ["no route", get("/a", "Host: other\r\n"), "404 no-route no-match", ["GET", "other", "/a"]],
];

const limits = "limits: { headers: 2KiB, headerCount: 10, cookies: 2, uri: 64B, body: 64 }";

/** Sends each case on a connection of its own; the answers, and then the log. */
async function refusedBy(yaml: string, cases: readonly RefusedCase[]) {
  const perch = await loggedPerch(yaml);
  const answers: string[] = [];
  for (const [, bytes] of cases)
    answers.push(await exchange(perch.port, bytes.replace(/\r\n\r\n/, "\r\nConnection: close\r\n\r\n")));
  const exposition = await (await perch.admin("/metrics")).text();
  return { answers, exposition, log: await perch.log() };
}

/** Counts of `perch_refusals_total` by error and cause. */
function refusalsOf(exposition: string): Record<string, number> {
  const series = exposition.matchAll(/^perch_refusals_total\{error="(.*?)",cause="(.*?)"\} (\d+)$/gm);
  return Object.fromEntries([...series].map(([, error, cause, count]) => [`${error} ${cause}`, Number(count)]));
}

function countsOf(answers: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[answer.slice(4)] = (counts[answer.slice(4)] ?? 0) + 1;
  return counts;
}

function sentenceOf(error: string, cause: string): string {
  const { message, causes } = errorTable[error as keyof typeof errorTable];
  return `${message} ${(causes as Readonly<Record<string, string>>)[cause]}`.trim();
}

describe.each(lanes)("the $lane lane says why", ({ fastLane }) => {
  it("it refused a request: in the log, the metric and the answer's text", async () => {
    const stable = await rawUpstream(() => {});
    const yaml = shopYaml({
      stable: stable.origin,
      route: "match: { hosts: [shop.example] }",
      more: `fastLane: ${fastLane}\n${limits}`,
    });
    const { answers, exposition, log } = await refusedBy(yaml, requests);
    expect(log.map(({ status, error, cause }) => `${status} ${error} ${cause}`)).toEqual(
      requests.map(([, , answer]) => answer),
    );
    expect(refusalsOf(exposition)).toEqual(countsOf(requests.map(([, , answer]) => answer)));
    for (const [index, [sentence, , answer, shown = ["", "", ""]]] of requests.entries()) {
      const [status, error = "", cause = ""] = answer.split(" ");
      expect(answers[index], sentence).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(answers[index], sentence).toContain(`\r\n\r\n${status} ${error}: ${sentenceOf(error, cause)}\n`);
      const { method, host: loggedHost, path } = log[index] ?? {};
      expect([method, loggedHost, path].slice(0, shown.length), sentence).toEqual(shown);
    }
  });

  const ok = "HTTP/1.1 200 OK\r\n";
  const responses: readonly (readonly [sentence: string, bytes: string, cause: string])[] = [
    [
      "a head over 64 KiB",
      `${ok}${`X: ${"x".repeat(900)}\r\n`.repeat(80)}Content-Length: 2\r\n\r\nok`,
      "head-too-large",
    ],
    ["12,000 headers", `${ok}${"X: y\r\n".repeat(12_000)}\r\n`, "too-many-headers"],
    ["1,001 headers", `${ok}${"X: y\r\n".repeat(1_000)}Content-Length: 0\r\n\r\n`, "too-many-headers"],
    ["TLS", "\x15\x03\x01\0\x02\x02\x0a", "invalid-status-line"],
    ["bytes that are not HTTP", "SSH-2.0-OpenSSH_9.9\r\n", "invalid-status-line"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "invalid-status-line"],
    ["two codings", `${ok}${chunked}${chunked}\r\n0\r\n\r\n`, "several-transfer-encodings"],
    ["a list of codings", `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`, "several-transfer-encodings"],
    ["another coding", `${ok}Transfer-Encoding: gzip\r\n\r\n`, "unsupported-transfer-encoding"],
    ["chunks and a length", `${ok}${chunked}Content-Length: 2\r\n\r\nok`, "length-and-chunks"],
    ["a length with a sign", `${ok}Content-Length: -2\r\n\r\nok`, "invalid-content-length"],
    ["a folded header", `${ok}X: a\r\n b\r\nContent-Length: 0\r\n\r\n`, "folded-header"],
    ["a blank before a colon", `${ok}X : a\r\nContent-Length: 0\r\n\r\n`, "invalid-header-name"],
    ["a control character", `${ok}X: a\x01\r\nContent-Length: 0\r\n\r\n`, "invalid-header-value"],
    ["a bare CR", `${ok}X: a\rb\r\nContent-Length: 0\r\n\r\n`, "invalid-line-ending"],
    ["a bare LF", `${ok}X: a\nContent-Length: 0\r\n\r\n`, "invalid-line-ending"],
    ["an upgrade", "HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "unasked-upgrade"],
  ];

  it("it refused an upstream's response", async () => {
    let next = -1;
    const stable = await rawUpstream((socket, received) => {
      if (!received.endsWith("\r\n\r\n")) return;
      next++;
      socket.end(responses[next]?.[1] ?? "", "latin1");
    });
    const yaml = shopYaml({ stable: stable.origin, more: `fastLane: ${fastLane}` });
    const cases = responses.map(([sentence]): RefusedCase => [sentence, get("/a"), ""]);
    const { answers, exposition, log } = await refusedBy(yaml, cases);
    const wanted = responses.map(([, , cause]) => `502 upstream-malformed ${cause}`);
    expect(log.map(({ status, error, cause }) => `${status} ${error} ${cause}`)).toEqual(wanted);
    expect(refusalsOf(exposition)).toEqual(countsOf(wanted));
    for (const [index, [sentence, , cause]] of responses.entries())
      expect(answers[index], sentence).toContain(sentenceOf("upstream-malformed", cause));
    expect(answers[0]).toContain("limits.responseHeaders of the service");
  });

  it("the limits of a response's head are keys of the service", async () => {
    const heads = [`X: ${"x".repeat(2_000)}\r\n`, "X: y\r\n".repeat(5), `X: ${"x".repeat(500)}\r\n`];
    let next = -1;
    const stable = await rawUpstream((socket, received) => {
      if (!received.endsWith("\r\n\r\n")) return;
      next++;
      socket.end(`${ok}${heads[next]}Content-Length: 0\r\n\r\n`);
    });
    const service = "limits: { responseHeaders: 1KiB, responseHeaderCount: 4 }";
    const yaml = shopYaml({ stable: stable.origin, service, more: `fastLane: ${fastLane}` });
    const { log } = await refusedBy(
      yaml,
      heads.map((head): RefusedCase => [head, get("/a"), ""]),
    );
    expect(log.map(({ status, cause }) => [status, cause])).toEqual([
      [502, "head-too-large"],
      [502, "too-many-headers"],
      [200, undefined],
    ]);
  });

  it.each([
    ["a length", "Content-Length: 10\r\n\r\nabc"],
    ["a length, on a connection that closes", "Connection: close\r\nContent-Length: 10\r\n\r\nabc"],
    ["chunks", `${chunked}\r\n5\r\nabc`],
    ["chunks, on a connection that closes", `Connection: close\r\n${chunked}\r\n5\r\nabc`],
  ])("a response with %s that ends early was cut, and not malformed", async (_sentence, rest) => {
    const stable = await rawUpstream((socket) => socket.end(`${ok}${rest}`));
    const yaml = shopYaml({ stable: stable.origin, more: `fastLane: ${fastLane}` });
    const { log } = await refusedBy(yaml, [["cut", get("/a"), ""]]);
    expect(log.map(({ status, error, cause }) => [status, error, cause])).toEqual([
      [200, "upstream-reset", "within-response"],
    ]);
  });

  it("trailers may be larger than limits.responseHeaders, which are those of the head", async () => {
    const trailer = `X: ${"x".repeat(2_000)}\r\n`;
    const stable = await rawUpstream((socket) => socket.end(`${ok}${chunked}\r\n2\r\nok\r\n0\r\n${trailer}\r\n`));
    const service = "limits: { responseHeaders: 1KiB }";
    const yaml = shopYaml({ stable: stable.origin, service, more: `fastLane: ${fastLane}` });
    const { answers, log } = await refusedBy(yaml, [["trailers", get("/a"), ""]]);
    expect(log.map(({ status, error }) => [status, error])).toEqual([[200, undefined]]);
    expect(answers[0]).toMatch(/\r\n0\r\nX: x+\r\n\r\n$/);
  });

  it("it has no response", async () => {
    const closing = await rawUpstream((socket) => socket.end());
    const silent = await rawUpstream(() => {});
    const yaml = `fastLane: ${fastLane}
dns: { servers: ["127.0.0.1:9"] }
services:
  refusing: { versions: { v: { endpoints: ["${await refusedOrigin()}"] } } }
  closing: { versions: { v: { endpoints: ["${closing.origin}"] } } }
  silent: { versions: { v: { endpoints: ["${silent.origin}"] } }, timeouts: { responseHeaders: 50ms } }
  slow: { versions: { v: { endpoints: ["${silent.origin}"] } }, timeouts: { total: 50ms } }
  full: { versions: { v: { endpoints: ["${silent.origin}"] } }, limits: { maxInFlight: 1, pendingTimeout: 10ms } }
routes:
  - { name: refusing, match: { path: { prefix: /refusing } }, service: refusing }
  - { name: closing, match: { path: { prefix: /closing } }, service: closing }
  - { name: silent, match: { path: { prefix: /silent } }, service: silent }
  - { name: slow, match: { path: { prefix: /slow } }, service: slow }
  - { name: limited, match: { path: { prefix: /limited } }, service: closing, rateLimit: { requests: 1, per: 1h } }
  - { name: fault, match: { path: { prefix: /fault } }, service: closing, fault: { abort: { status: 418, percent: 100 } } }
`;
    const paths = ["/refusing", "/closing", "/silent", "/slow", "/limited", "/limited", "/fault"];
    const { log, exposition } = await refusedBy(
      yaml,
      paths.map((path): RefusedCase => [path, get(path), ""]),
    );
    const wanted = [
      "502 connect-failed ECONNREFUSED",
      "502 upstream-reset before-response",
      "504 upstream-timeout response-headers",
      "504 upstream-timeout total",
      "502 upstream-reset before-response",
      "429 rate-limited route-limit",
      "418 fault abort",
    ];
    expect(log.map(({ status, error, cause }) => `${status} ${error} ${cause}`)).toEqual(wanted);
    expect(refusalsOf(exposition)).toEqual(countsOf(wanted));
  });
});

describe("an HTTP/2 client", () => {
  it.each([
    ["raw UTF-8 in a path", { path: "/\xe5" }, "400 bad-request invalid-target-character"],
    ["an invalid host", { authority: "a..b" }, "400 bad-request invalid-host"],
    ["a Host that differs", { fields: ["host", "other"] }, "400 bad-request conflicting-hosts"],
    ["too many cookies", { fields: ["cookie", "a=1; b=2; c=3"] }, "431 headers-too-large cookies"],
  ])("is told the cause: %s", async (_sentence, request, wanted) => {
    const stable = await rawUpstream(() => {});
    const perch = await loggedPerch(shopYaml({ stable: stable.origin, more: limits }), { listeners: h2cListener });
    const answer = await new H2Client(perch.origin).get(request);
    expect(answer.status).toBe(Number(wanted.slice(0, 3)));
    const [, error = "", cause = ""] = wanted.split(" ");
    expect(answer.body).toBe(`${answer.status} ${error}: ${sentenceOf(error, cause)}\n`);
    expect((await perch.log()).map((line) => `${line["status"]} ${line["error"]} ${line["cause"]}`)).toEqual([wanted]);
  });
});

describe.each(lanes)("an HTTP/2 client beside the $lane lane", ({ fastLane }) => {
  /** Answers with as many fields of this size as the path says. */
  async function bigHeads() {
    const stable = await rawUpstream((socket, received) => {
      const [, count, size] = / \/(\d+)x(\d+) /.exec(received) ?? [];
      const fields = `X: ${"\x7e".repeat(Number(size))}\r\n`.repeat(Number(count));
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${fields}\r\n`);
    });
    const service = "limits: { responseHeaders: 1MiB, responseHeaderCount: 5000 }";
    const yaml = shopYaml({ stable: stable.origin, service, more: `fastLane: ${fastLane}` });
    const perch = await loggedPerch(yaml, { listeners: h2cListener });
    const client = new H2Client(perch.origin, { maxHeaderListPairs: 6_000 });
    return { perch, client };
  }

  it.each([
    ["1x65000", 200],
    ["80x900", 200],
    ["140x900", 200],
    ["4000x5", 200],
    ["1x66000", 502],
    ["160x900", 502],
    ["10x50000", 502],
  ])("gets a head of %s bytes as %i, and its connection stays", async (size, status) => {
    const { perch, client } = await bigHeads();
    expect(await client.get({ path: `/${size}` })).toMatchObject({ status, reset: 0 });
    expect(await client.get({ path: "/1x1" })).toMatchObject({ status: 200 });
    expect(client.goneAway).toEqual([]);
    const [line] = await perch.log();
    expect(line).toMatchObject({ status });
    expect(line?.["cause"]).toBe(status === 502 ? "head-too-large" : undefined);
  });

  it("does not get hints that HTTP/2 cannot carry, but the response", async () => {
    const links = `Link: </${"a".repeat(70_000)}>\r\n`;
    const stable = await rawUpstream((socket) =>
      socket.end(`HTTP/1.1 103 Early Hints\r\n${links}\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`),
    );
    const service = "limits: { responseHeaders: 1MiB }";
    const yaml = shopYaml({ stable: stable.origin, service, more: `fastLane: ${fastLane}` });
    const { origin } = await loggedPerch(yaml, { listeners: h2cListener });
    expect(await new H2Client(origin).get()).toMatchObject({ status: 200, interim: [], reset: 0 });
  });

  it("gets hints of 64 KiB in all, since they would wait in memory if it did not read", async () => {
    const hints = `HTTP/1.1 103 Early Hints\r\nLink: </${"a".repeat(10_000)}>\r\n\r\n`.repeat(20);
    const stable = await rawUpstream((socket) => socket.end(`${hints}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`));
    const yaml = shopYaml({ stable: stable.origin, more: `fastLane: ${fastLane}` });
    const { origin } = await loggedPerch(yaml, { listeners: h2cListener });
    const { status, interim } = await new H2Client(origin).get();
    expect([status, interim.length]).toEqual([200, 6]);
  });

  it("that leaves is logged with a cause", async () => {
    const stable = await rawUpstream(() => {});
    const yaml = shopYaml({ stable: stable.origin, more: `fastLane: ${fastLane}` });
    const perch = await loggedPerch(yaml, { listeners: h2cListener });
    const left = new H2Client(perch.origin);
    left.stream();
    const plain = await rawClient(perch.port);
    plain.send(get("/a"));
    await expect.poll(() => perch.metric(requestsInFlight)).toBe(2);
    left.session.destroy();
    plain.close();
    await expect.poll(() => perch.metric(requestsInFlight)).toBe(0);
    const closed = { status: 499, error: "client-closed", cause: "closed" };
    expect(await perch.log()).toMatchObject([closed, closed]);
  });
});

it("the JSON of an error has its cause", async () => {
  const stable = await rawUpstream(() => {});
  const perch = await loggedPerch(shopYaml({ stable: stable.origin, route: "match: { hosts: [shop.example] }" }));
  const answer = await exchange(perch.port, get("/a", "Host: x\r\nAccept: application/json\r\nConnection: close\r\n"));
  expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))).toMatchObject({ error: "no-route", cause: "no-match" });
});

describe("of an HTTP/2 upstream's response", () => {
  const many = (count: number, value: string) => Array.from({ length: count }, (_, i) => [`x-${i}`, value]).flat();
  it.each([
    ["a head over 64 KiB", many(80, "x".repeat(900)), "head-too-large"],
    ["1,001 headers", many(1_001, "y"), "too-many-headers"],
    ["12,000 headers", many(12_000, "y"), "head-too-large"],
    ["a head over 1 MiB", many(1_000, "x".repeat(1_100)), "head-too-large"],
  ])("%s is a 502 for every client", async (_sentence, fields, cause) => {
    const options = { maxSendHeaderBlockLength: 8 * 2 ** 20 };
    const stable = await h2Upstream(
      (stream) => stream.respond([":status", "200", ...fields], { endStream: true }),
      options,
    );
    const perch = await loggedPerch(shopYaml({ stable: stable.origin, service: "protocol: http2" }), {
      listeners: h2cListener,
    });
    const answers = [(await fetch(perch.origin)).status, (await new H2Client(perch.origin).get()).status];
    expect(answers).toEqual([502, 502]);
    const logged = { status: 502, error: "upstream-malformed", cause };
    expect(await perch.log()).toMatchObject([logged, logged]);
  });
});

describe.each(lanes)("a request for an HTTP/2 upstream with fastLane $fastLane", ({ fastLane }) => {
  it.each([
    [1, 65_000, 200],
    [140, 900, 200],
    [4_000, 5, 200],
    [1, 66_000, 431],
    [160, 900, 431],
  ])("with %i headers of %i bytes is answered %i", async (count, size, status) => {
    const options = { maxHeaderListPairs: 6_000, settings: { maxHeaderListSize: 2 ** 20 } };
    const stable = await h2Upstream((stream) => stream.respond([":status", "200"], { endStream: true }), options);
    const limits = "limits: { headers: 1MiB, headerCount: 5000 }";
    const yaml = shopYaml({
      stable: stable.origin,
      service: "protocol: http2",
      more: `fastLane: ${fastLane}\n${limits}`,
    });
    const perch = await loggedPerch(yaml);
    const fields = `X: ${"~".repeat(size)}\r\n`.repeat(count);
    const answer = await exchange(perch.port, get("/a", `${host}Connection: close\r\n${fields}`));
    expect(answer.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
    const [line] = await perch.log();
    expect(line?.["cause"]).toBe(status === 431 ? "size" : undefined);
  });
});

describe("a request that finds no endpoint", () => {
  it("is told that all of them failed too many requests", async () => {
    const stable = await rawUpstream((socket) => socket.end("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"));
    const service = "outlier: { consecutiveFailures: 1, maxEjected: 100%, ejectFor: 1h }";
    const { log } = await refusedBy(shopYaml({ stable: stable.origin, service }), [
      ["first", get("/a"), ""],
      ["second", get("/a"), ""],
    ]);
    expect(log[1]).toMatchObject({ status: 503, error: "no-healthy-endpoint", cause: "ejected" });
  });

  it("is told that the name has no address", async () => {
    const dns = await TestDnsServer.start({});
    const yaml = shopYaml({
      stable: "{ dns: shop.example, port: 80 }",
      more: `dns: { servers: ["${dns.address}"] }`,
    });
    const { log } = await refusedBy(yaml, [["first", get("/a"), ""]]);
    expect(log).toMatchObject([{ status: 503, error: "no-healthy-endpoint", cause: "no-address" }]);
  });
});

describe("a request above a limit on load", () => {
  it.each([
    ["in-flight", "", "limits: { inFlight: 1 }"],
    ["queue-full", "limits: { maxInFlight: 1, maxPending: 0 }", ""],
    ["queue-timeout", "limits: { maxInFlight: 1, pendingTimeout: 10ms }", ""],
    ["queue-full", "limits: { maxConnections: 1, maxPending: 0 }", ""],
  ])("is told which: %s, %s%s", async (cause, service, more) => {
    const stable = await rawUpstream(() => {});
    const perch = await loggedPerch(shopYaml({ stable: stable.origin, service, more }));
    const first = await rawClient(perch.port);
    first.send(get("/first"));
    await expect.poll(() => perch.metric(requestsInFlight)).toBe(1);
    expect(await exchange(perch.port, get("/second", `${host}Connection: close\r\n`))).toMatch(/^HTTP\/1\.1 503 /);
    expect(await perch.metric(`perch_refusals_total{error="overloaded",cause="${cause}"}`)).toBe(1);
    first.close();
    expect((await perch.log())[0]).toMatchObject({ status: 503, error: "overloaded", cause });
  });
});
