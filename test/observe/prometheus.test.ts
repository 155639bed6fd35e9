import { describe, expect, test } from "vitest";
import { Metrics } from "../../src/observe/metrics.ts";
import { writeOpenMetrics } from "../../src/observe/prometheus.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { collectGarbage } from "../kit/garbage.ts";
import { openMetricsProblems } from "../kit/strict-open-metrics.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";

function exporter() {
  const stats = new StatsRegistry();
  const generation = stats.begin();
  const request = generation.request("all", "shop", "stable");
  const upstream = generation.upstream("shop", "stable");
  generation.commit();
  request.count(200, "GET");
  request.duration.observe(0.004);
  request.duration.observe(0.7);
  upstream.ttfb.observe(0.003);
  const metrics = new Metrics({
    stats,
    endpointStates: () => [{ service: "shop", version: "stable", endpoint: 'http://"a\\b\nc', up: true }],
    certificates: () => [],
    rollouts: undefined,
    weightRatios: () => [],
    workers: () => ({ serving: 1, restarts: 0 }),
    build: { version: "0.1.0", nodeVersion: "26.5.1" },
  });
  return { metrics, request, upstream };
}

const duration = 'perch_request_duration_seconds_bucket{route="all",service="shop",version="stable"';

describe("OpenMetrics", () => {
  test("of everything breaks no rule, and leaves the text format as it is", async () => {
    const { metrics, request } = exporter();
    request.duration.exemplify(0.7, traceId, 1_767_225_600_123);
    const before = (await metrics.render("prometheus")).body;
    const { contentType, body } = await metrics.render("open-metrics");
    expect(contentType).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    expect(openMetricsProblems(body)).toEqual([]);
    const after = (await metrics.render("prometheus")).body;
    expect(after).not.toContain(traceId);
    expect(namesIn(after)).toEqual(namesIn(before));
    // The series are the same in both, but for how a bound is written.
    expect(seriesIn(body)).toEqual(seriesIn(after));
  });

  test("shows a bucket's latest exemplar, at that bucket alone", async () => {
    const { metrics, request, upstream } = exporter();
    request.duration.exemplify(0.004, "f".repeat(32), 1_767_225_600_000);
    request.duration.exemplify(0.005, traceId, 1_767_225_600_123);
    request.duration.exemplify(31, traceId, 1_767_225_601_000);
    upstream.ttfb.exemplify(0.003, traceId, 1_767_225_602_000);
    const { body } = await metrics.render("open-metrics");
    expect(openMetricsProblems(body)).toEqual([]);
    expect(body.split("\n").filter((line) => line.includes(" # "))).toEqual([
      `${duration},le="0.005"} 1 # {trace_id="${traceId}"} 0.005 1767225600.123`,
      `${duration},le="+Inf"} 2 # {trace_id="${traceId}"} 31 1767225601.000`,
      `perch_upstream_ttfb_seconds_bucket{service="shop",version="stable",le="0.005"} 1 # {trace_id="${traceId}"} 0.003 1767225602.000`,
    ]);
  });

  test.each([
    {
      about: "a counter by its family",
      family: { name: "a_total", type: "counter", values: [{ labels: {}, value: 1 }] },
      wanted: '# TYPE a counter\n# HELP a \\"h\\"\\\\\\n\na_total 1\n',
    },
    {
      about: "numbers that are none",
      family: { name: "a", type: "gauge", values: [Number.NaN, 1 / 0, -1 / 0].map((value) => ({ labels: {}, value })) },
      wanted: '# TYPE a gauge\n# HELP a \\"h\\"\\\\\\n\na NaN\na +Inf\na -Inf\n',
    },
    {
      about: "bounds with a fraction, and no other label",
      family: { name: "a", type: "gauge", values: [{ labels: { le: 1, code: 200 }, value: 3 }] },
      wanted: '# TYPE a gauge\n# HELP a \\"h\\"\\\\\\n\na{le="1.0",code="200"} 3\n',
    },
  ])("writes $about", ({ family, wanted }) => {
    expect(writeOpenMetrics([{ help: '"h"\\\n', ...family }])).toBe(`${wanted}# EOF\n`);
  });
});

const samples = (body: string): string[] => body.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
const namesIn = (body: string) => samples(body).map((line) => line.replace(/ \S+$/, ""));
const seriesIn = (body: string) =>
  samples(body).map((line) =>
    line
      .replace(/ # .*/, "")
      .replace(/ \S+$/, "")
      .replace(/(le="\d+)\.0"/, '$1"'),
  );

test("an exporter that nothing uses any more is collected, with all that it exported", async () => {
  const left = new WeakRef(await rendered());
  await collectGarbage();
  expect(left.deref()).toBeUndefined();
});

/** What an exporter that has been read held. */
async function rendered(): Promise<object> {
  const { metrics, request } = exporter();
  await metrics.render("prometheus");
  return request;
}
