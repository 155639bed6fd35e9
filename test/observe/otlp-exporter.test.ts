import { describe, expect, test } from "vitest";
import { SpanExporter } from "../../src/observe/otlp-exporter.ts";
import { SpanStats } from "../../src/observe/process-stats.ts";
import type { Span } from "../../src/observe/span.ts";
import { collector, type TestCollector } from "../kit/collector.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { soon } from "../kit/served.ts";

const span: Span = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  parentId: "00f067aa0ba902b7",
  traceState: "a=b",
  kind: "server",
  name: "GET shop",
  startMs: 1_767_225_600_000.125,
  durationMs: 12.5,
  isError: true,
  attributes: {
    "http.request.method": "GET",
    "http.response.status_code": 503,
    "perch.fallback": true,
    absent: undefined,
  },
};

const spans = (count: number) => Array.from({ length: count }, () => span);

function exporter(to: string | undefined, { intervalMs = 5, retryMs = 5 } = {}) {
  const stats = new SpanStats();
  const troubles: string[] = [];
  const started = new SpanExporter({
    stats,
    resource: { version: "0.1.0", instanceId: "i" },
    onTrouble: (why) => troubles.push(why),
    randomFraction: () => 0.5,
    intervalMs,
    retryMs,
  });
  if (to !== undefined) {
    started.configure({ serviceName: "edge", collector: { endpoint: to, headers: [["authorization", "Bearer t"]] } });
  }
  freeAfterTest(() => started.destroy());
  const counts = () =>
    Object.fromEntries(Array.from(stats.outcomes.series(), ({ labels: [outcome], value }) => [outcome, value]));
  return { started, troubles, counts };
}

const none = { exported: 0, rejected: 0, undelivered: 0, overflow: 0 };

describe("the exporter", () => {
  test("sends what it was given, in OTLP's JSON", async () => {
    const to = await collector();
    const { started, counts } = exporter(to.endpoint);
    started.add([span]);
    await expect
      .poll(() => to.spans, soon)
      .toEqual([
        {
          traceId: span.traceId,
          spanId: span.spanId,
          parentSpanId: span.parentId,
          traceState: "a=b",
          name: "GET shop",
          kind: 2,
          startTimeUnixNano: "1767225600000125000",
          endTimeUnixNano: "1767225600012625000",
          status: { code: 2 },
          attributes: { "http.request.method": "GET", "http.response.status_code": 503, "perch.fallback": true },
          resource: { "service.name": "edge", "service.version": "0.1.0", "service.instance.id": "i" },
        },
      ]);
    expect(to.posts[0]?.headers).toMatchObject({ "content-type": "application/json", authorization: "Bearer t" });
    await expect.poll(counts, soon).toEqual({ ...none, exported: 1 });
  });

  test("sends many in few posts", async () => {
    const to = await collector();
    const { started } = exporter(to.endpoint, { intervalMs: 60_000 });
    for (const one of spans(600)) started.add([one]);
    await started.flush(5_000);
    expect(to.posts.map((post) => post.spans)).toEqual([512, 88]);
  });

  test.each([429, 502, 503, 504])("tries again after %i", async (status) => {
    const to = await collector((response, post) => response.writeHead(post < 3 ? status : 200).end());
    const { started, troubles, counts } = exporter(to.endpoint);
    started.add([span]);
    await expect.poll(counts, soon).toEqual({ ...none, exported: 1 });
    expect([to.posts.length, troubles]).toEqual([3, []]);
  });

  test("gives up after five tries, and tells the log once", async () => {
    const to = await collector((response) => response.writeHead(503).end());
    const { started, troubles, counts } = exporter(to.endpoint);
    started.add([span]);
    await expect.poll(counts, soon).toEqual({ ...none, undelivered: 1 });
    started.add([span]);
    await expect.poll(counts, soon).toEqual({ ...none, undelivered: 2 });
    expect([to.posts.length, troubles]).toEqual([10, ["it answered 503"]]);
  });

  test.each([400, 401, 404, 500, 301])("does not try again after %i", async (status) => {
    const to = await collector((response) => response.writeHead(status, { location: "/" }).end());
    const { started, troubles, counts } = exporter(to.endpoint);
    started.add([span]);
    await expect.poll(counts, soon).toEqual({ ...none, rejected: 1 });
    expect([to.posts.length, troubles]).toEqual([1, [`it answered ${status}`]]);
  });

  test("heeds Retry-After", async () => {
    const to = await collector((response) => response.writeHead(429, { "retry-after": "20" }).end());
    const { started } = exporter(to.endpoint);
    started.add([span]);
    await expect.poll(() => to.posts.length, soon).toBe(1);
    // Without it there would have been all five by now.
    await started.flush(100);
    expect(to.posts.length).toBe(1);
  });

  test("counts what a collector refuses of a batch", async () => {
    const answer = { partialSuccess: { rejectedSpans: "2", errorMessage: "too old" } };
    const to = await collector((response) => response.writeHead(200).end(JSON.stringify(answer)));
    const { started, troubles, counts } = exporter(to.endpoint);
    started.add(spans(3));
    await expect.poll(counts, soon).toEqual({ ...none, exported: 1, rejected: 2 });
    expect(troubles).toEqual(["it refused 2 spans: too old"]);
  });

  test.each(["", "no json", "[]", '{"partialSuccess":{"rejectedSpans":-1}}', '{"partialSuccess":null}', "7"])(
    "takes %j for a success",
    async (answer) => {
      const to = await collector((response) => response.writeHead(200).end(answer));
      const { started, counts } = exporter(to.endpoint);
      started.add([span]);
      await expect.poll(counts, soon).toEqual({ ...none, exported: 1 });
    },
  );

  test("keeps a bounded number while the collector is slow, and drops the newest", async () => {
    const to = await hanging();
    const { started, counts } = exporter(to.endpoint);
    started.add(spans(512));
    await expect.poll(() => to.posts.length, soon).toBe(1);
    for (let count = 0; count < 9; count++) started.add(spans(512));
    expect(counts()).toEqual({ ...none, overflow: 512 });
  });

  test("ends though the collector does not answer, and counts what was lost", async () => {
    const to = await hanging();
    const { started, counts } = exporter(to.endpoint);
    started.add(spans(2));
    await started.flush(50);
    await started.destroy();
    expect(counts()).toEqual({ ...none, undelivered: 2 });
  });

  test("takes nothing while there is no collector, and follows another one", async () => {
    const [first, second] = [await collector(), await collector()];
    const { started, counts } = exporter(undefined, { intervalMs: 60_000 });
    started.add([span]);
    started.configure({ serviceName: "a", collector: { endpoint: first.endpoint, headers: [] } });
    started.add([span]);
    started.configure({ serviceName: "b", collector: { endpoint: second.endpoint, headers: [] } });
    started.add([span]);
    await started.flush(5_000);
    expect([first.spans.length, second.spans.map(({ resource }) => resource["service.name"])]).toEqual([0, ["b", "b"]]);
    started.add([span]);
    started.configure(undefined);
    expect(counts()).toEqual({ ...none, exported: 2, undelivered: 1 });
  });
});

function hanging(): Promise<TestCollector> {
  return collector(() => {});
}
