import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatTraceParent, parseTraceParent } from "../../src/proxy/trace.ts";
import { type CollectedSpan, collector } from "../kit/collector.ts";
import { perch, rawUpstream, upstream } from "../kit/freed.ts";
import { exchange, lanes, perchIn, shopAt } from "../kit/one-service.ts";
import type { TestPerch } from "../kit/perch.ts";
import { changeablePerch, freePorts, loggedPerch, renameOver, soon, temporaryFolder } from "../kit/served.ts";
import { openMetricsProblems } from "../kit/strict-open-metrics.ts";
import { refusedOrigin } from "../kit/upstream.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const otherTraceId = "1af7651916cd43dd8448eb211c80319c";
const parentId = "b7ad6b7169203331";
const traced = (id: string, flags: string) => `traceparent: 00-${id}-${parentId}-${flags}\r\n`;
const sampled = traced(traceId, "01");

const get = (path: string, fields = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`;

const exporting = (endpoint: string, more = "sample: 1") => `
tracing: { ${more}, serviceName: edge, otlp: { endpoint: "${endpoint}" } }`;

/** Drains Perch, which exports the last spans. */
async function drained({ app }: TestPerch): Promise<void> {
  await app.drain("test");
}

const kinds = { server: 2, client: 3 };

function isWithin(inner: CollectedSpan | undefined, outer: CollectedSpan | undefined): boolean {
  if (inner === undefined || outer === undefined) return false;
  const [from, to] = [BigInt(inner.startTimeUnixNano), BigInt(inner.endTimeUnixNano)];
  return from >= BigInt(outer.startTimeUnixNano) && from <= to && to <= BigInt(outer.endTimeUnixNano);
}

async function scraped({ adminOrigin }: TestPerch): Promise<string> {
  return (await fetch(`${adminOrigin}/metrics`, { headers: { accept: "application/openmetrics-text" } })).text();
}

/** The metrics that have exemplars, with the trace of each. */
const exemplarsOf = (body: string) =>
  Array.from(body.matchAll(/^(\w+)_bucket.* # \{trace_id="(\w+)"\} \S+ \d+\.\d{3}$/gm), ([, name, id]) => [name, id]);

/** Values, and whether they are valid. */
const traceParents: readonly (readonly [string, string, boolean])[] = [
  ["sampled", `00-${traceId}-${parentId}-01`, true],
  ["not sampled", `00-${traceId}-${parentId}-00`, true],
  ["with flags of a later level", `00-${traceId}-${parentId}-ff`, true],
  ["of a later version", `cc-${traceId}-${parentId}-01`, true],
  ["of a later version with more behind", `cc-${traceId}-${parentId}-01-what-the-future-will-be`, true],
  ["of a later version with more behind, without a dash", `cc-${traceId}-${parentId}-01.x`, false],
  ["of version 00 with more behind", `00-${traceId}-${parentId}-01-x`, false],
  ["of version ff", `ff-${traceId}-${parentId}-01`, false],
  ["in upper case", `00-${traceId.toUpperCase()}-${parentId}-01`, false],
  ["with a trace id of zeros", `00-${"0".repeat(32)}-${parentId}-01`, false],
  ["with a parent id of zeros", `00-${traceId}-${"0".repeat(16)}-01`, false],
  ["with a short trace id", `00-${traceId.slice(1)}-${parentId}-01`, false],
  ["with a letter that is no hexadecimal digit", `00-${traceId.slice(1)}g-${parentId}-01`, false],
  ["without flags", `00-${traceId}-${parentId}`, false],
  ["with a line break", `00-${traceId}-${parentId}-01\n`, false],
  ["with blanks", ` 00-${traceId}-${parentId}-01`, false],
  ["empty", "", false],
];

describe("traceparent", () => {
  it.each(traceParents)("%s is valid: %s", (_what, text, valid) => {
    const parsed = parseTraceParent(text);
    expect(parsed !== undefined).toBe(valid);
    if (parsed !== undefined) expect([parsed.traceId, parsed.parentId]).toEqual([traceId, parentId]);
  });

  it("is written in version 00, its flags in two digits", () => {
    expect(formatTraceParent({ traceId, parentId, flags: 1 })).toBe(`00-${traceId}-${parentId}-01`);
  });
});

describe.each(lanes)("a traced request, in the $lane lane", ({ fastLane }) => {
  const perchTo = perchIn(fastLane);

  it("is a span, and a child of it for the attempt, whose child is the upstream", async () => {
    const [stable, to] = [await upstream("stable"), await collector()];
    const started = await perchTo(
      stable.origin,
      `trustedProxies: [127.0.0.0/8]
releases: { shop: { split: { stable: 1 } } }${exporting(to.endpoint, "sample: 0")}`,
    );
    await exchange(started.port, get("/cart?secret=1", `${sampled}tracestate: a=b\r\nx-request-id: r1\r\n`));
    await drained(started);
    const [server, client] = to.spans;
    expect(to.spans.length).toBe(2);
    expect(server).toMatchObject({
      traceId,
      parentSpanId: parentId,
      traceState: "a=b",
      kind: kinds.server,
      name: "GET all",
      status: {},
      resource: { "service.name": "edge" },
    });
    expect(server?.attributes).toEqual({
      "http.request.method": "GET",
      "url.scheme": "http",
      "url.path": "/cart",
      "server.address": "a",
      "client.address": "127.0.0.1",
      "http.response.status_code": 200,
      "perch.route": "all",
      "perch.service": "shop",
      "perch.release": "shop",
      "perch.version": "stable",
      "perch.reason": "split",
      "perch.request_id": "r1",
    });
    expect(client).toMatchObject({
      traceId,
      parentSpanId: server?.spanId,
      kind: kinds.client,
      name: "GET",
      status: {},
    });
    expect(client?.attributes).toEqual({
      "http.request.method": "GET",
      "url.full": `${stable.origin}/cart`,
      "server.address": "127.0.0.1",
      "server.port": stable.port,
      "http.response.status_code": 200,
      "perch.version": "stable",
    });
    expect(stable.seen[0]?.headers["traceparent"]).toBe(`00-${traceId}-${client?.spanId}-01`);
    expect(stable.seen[0]?.headers["tracestate"]).toBe("a=b");
    expect(isWithin(client, server)).toBe(true);
  });

  it("has a span for each attempt, with its error", async () => {
    const [refused, to] = [await refusedOrigin(), await collector()];
    const dying = await rawUpstream((socket) => socket.destroy());
    const started = await perchTo(refused, exporting(to.endpoint));
    await exchange(started.port, get("/"));
    await drained(started);
    const [server, client] = to.spans;
    expect(server?.status).toEqual({ code: 2 });
    expect(server?.attributes).toMatchObject({
      "http.response.status_code": 502,
      "error.type": "connect-failed",
      "perch.error": "connect-failed",
    });
    expect(client?.attributes).toMatchObject({ "error.type": "connect-failed" });
    expect(client?.attributes).not.toHaveProperty("http.response.status_code");
    const again = await perchTo(dying.origin, exporting(to.endpoint));
    await exchange(again.port, get("/"));
    await drained(again);
    const attempts = to.spans.slice(2).filter(({ kind }) => kind === kinds.client);
    expect(
      attempts.map(({ attributes }) => [attributes["error.type"], attributes["http.request.resend_count"]]),
    ).toEqual([
      ["upstream-reset", undefined],
      ["upstream-reset", 1],
    ]);
    expect(new Set(attempts.map(({ spanId }) => spanId)).size).toBe(2);
  });

  it("has an error in both spans for an upstream's 5xx, in the attempt's only for its 4xx", async () => {
    const to = await collector();
    const stable = await upstream("stable", (request, response) => {
      response.writeHead(Number(request.url?.slice(1))).end();
    });
    const started = await perchTo(stable.origin, exporting(to.endpoint));
    await exchange(started.port, get("/404"));
    await exchange(started.port, get("/503"));
    await drained(started);
    expect(to.spans.map(({ kind, status, attributes }) => [kind, status.code, attributes["error.type"]])).toEqual([
      [kinds.server, undefined, undefined],
      [kinds.client, 2, "404"],
      [kinds.server, 2, "503"],
      [kinds.client, 2, "503"],
    ]);
  });

  it("that is malformed or has no route is a span as well", async () => {
    const [stable, to] = [await upstream("stable"), await collector()];
    const started = await perch(`fastLane: ${fastLane}
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] } } } }
routes: [{ name: shop, match: { path: { prefix: /shop } }, service: shop }]${exporting(to.endpoint)}`);
    await exchange(started.port, get("/nowhere"));
    await exchange(started.port, "BREW / HTTP/1.1\r\nHost: a b\r\n\r\n");
    await drained(started);
    expect(to.spans.map(({ name, attributes }) => [name, attributes["error.type"], attributes["perch.route"]])).toEqual(
      [
        ["GET", "no-route", undefined],
        ["HTTP", "bad-request", undefined],
      ],
    );
  });

  it("of an untrusted client keeps its trace id, and is recorded by `sample` only", async () => {
    const [stable, to] = [await upstream("stable"), await collector()];
    const started = await perchTo(stable.origin, exporting(to.endpoint, "sample: 0"));
    await exchange(started.port, get("/", sampled));
    await drained(started);
    expect(stable.seen[0]?.headers["traceparent"]).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
    expect(to.spans).toEqual([]);
  });

  it.each([
    ["proxies", "", false],
    ["proxies", "trustedProxies: [127.0.0.0/8]", true],
    ["nobody", "trustedProxies: [127.0.0.0/8]", false],
    ["anyone", "", true],
  ])("with trustIncoming: %s and %j is continued: %s", async (trust, more, continued) => {
    const stable = await upstream("stable");
    const started = await perchTo(stable.origin, `${more}\ntracing: { trustIncoming: ${trust} }`);
    await exchange(started.port, get("/", `${sampled}tracestate: a=b\r\n`));
    const { traceparent, tracestate } = stable.seen[0]?.headers ?? {};
    expect([String(traceparent).includes(traceId), tracestate]).toEqual([continued, continued ? "a=b" : undefined]);
  });

  it("has its trace fields unchanged without tracing", async () => {
    const stable = await upstream("stable");
    const started = await perchTo(stable.origin);
    await exchange(started.port, get("/", `TraceParent: anything\r\nTraceState: x\r\n`));
    expect(stable.seen[0]?.rawHeaders).toEqual(expect.arrayContaining(["TraceParent", "anything", "TraceState", "x"]));
  });

  it("is the parent of its mirrored request", async () => {
    const [stable, canary, to] = [await upstream("stable"), await upstream("canary"), await collector()];
    const releases = "releases: { shop: { split: { stable: 1 }, mirror: { version: canary, percent: 100 } } }";
    const started = await perchTo(stable.origin, `${releases}${exporting(to.endpoint)}`, canary.origin);
    await exchange(started.port, get("/", sampled));
    await expect.poll(() => canary.seen.length, soon).toBe(1);
    await drained(started);
    const server = to.spans.find(({ kind }) => kind === kinds.server);
    expect(canary.seen[0]?.headers["traceparent"]).toBe(`00-${traceId}-${server?.spanId}-01`);
  });

  it("may be an upgrade", async () => {
    let received = "";
    const declining = await rawUpstream((socket, all) => {
      received = all;
      if (all.endsWith("\r\n\r\n")) socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    });
    const to = await collector();
    const started = await perchTo(declining.origin, exporting(to.endpoint));
    const upgrade =
      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    await exchange(started.port, `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n${upgrade}${sampled}\r\n`);
    await drained(started);
    const client = to.spans.find(({ kind }) => kind === kinds.client);
    expect(client?.attributes).toMatchObject({ "http.response.status_code": 403 });
    expect(received).toContain(`traceparent: 00-${traceId}-${client?.spanId}-01\r\n`);
  });

  it("has its trace id in the access log", async () => {
    const stable = await upstream("stable");
    const more = `fastLane: ${fastLane}\ntracing: {}`;
    const started = await loggedPerch(shopAt(stable.origin, more));
    await exchange(started.port, get("/", sampled));
    expect(await started.log()).toMatchObject([{ traceId }]);
  });
});

describe("tracing", () => {
  it("follows a reload, to another collector and with new headers", { tags: ["slow"] }, async () => {
    const [stable, first, second] = [await upstream("stable"), await collector(), await collector()];
    const folder = await temporaryFolder();
    const headers = join(folder, "headers");
    await renameOver(headers, "# of the collector\nauthorization: Bearer one\n");
    const config = (endpoint: string) => `${freePorts}
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] } } } }
routes: [{ name: shop, service: shop }]
tracing: { sample: 1, otlp: { endpoint: "${endpoint}", headersFile: ${headers} } }`;
    const { perch: started, change, reloadedBy } = await changeablePerch(config(first.endpoint));
    await exchange(started.port, get("/"));
    await expect.poll(() => first.spans.length, soon).toBe(2);
    await change(config(second.endpoint));
    await exchange(started.port, get("/"));
    await expect.poll(() => second.spans.length, soon).toBe(2);
    await reloadedBy(() => renameOver(headers, "authorization: Bearer two\n"));
    await exchange(started.port, get("/"));
    await drained(started);
    expect(second.posts.map((post) => post.headers["authorization"])).toEqual(["Bearer one", "Bearer two"]);
    expect(await started.metric('perch_trace_spans_total{outcome="exported"}')).toBe(6);
  });

  it("does not delay or fail requests while the collector cannot be reached", async () => {
    const stable = await upstream("stable");
    const refused = await refusedOrigin();
    const started = await perchIn("on")(stable.origin, exporting(`${refused}/v1/traces`));
    for (let count = 0; count < 20; count++) expect(await exchange(started.port, get("/"))).toContain("200 OK");
    await started.stop();
  });
});

describe.each(lanes)("exemplars, in the $lane lane", ({ fastLane }) => {
  const perchTo = perchIn(fastLane);

  it("are those of recorded requests only", async () => {
    const stable = await upstream("stable");
    const more = "trustedProxies: [127.0.0.0/8]\ntracing: { sample: 0 }";
    const started = await perchTo(stable.origin, more);
    await exchange(started.port, get("/", sampled));
    await exchange(started.port, get("/", traced(otherTraceId, "00")));
    const body = await scraped(started);
    expect(openMetricsProblems(body)).toEqual([]);
    expect(exemplarsOf(body)).toEqual([
      ["perch_request_duration_seconds", traceId],
      ["perch_upstream_ttfb_seconds", traceId],
    ]);
    expect(await (await started.admin("/metrics")).text()).not.toContain(traceId);
  });

  it("are none without tracing", async () => {
    const stable = await upstream("stable");
    const started = await perchTo(stable.origin, "trustedProxies: [127.0.0.0/8]");
    await exchange(started.port, get("/", sampled));
    expect(exemplarsOf(await scraped(started))).toEqual([]);
  });
});

describe("exemplars of several workers", () => {
  it("are shown as those of one process", { tags: ["slow"], timeout: 60_000 }, async () => {
    const stable = await upstream("stable");
    const started = await perchIn("on")(stable.origin, "workers: 2\ntracing: { sample: 1 }");
    for (const id of [traceId, otherTraceId]) await exchange(started.port, get("/", traced(id, "00")));
    const shown = exemplarsOf(await scraped(started));
    expect(shown.map(([name]) => name)).toContain("perch_request_duration_seconds");
    expect(shown.every(([, id]) => id === traceId || id === otherTraceId)).toBe(true);
  });
});
