import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { type EndpointState, Metrics } from "../../src/observe/metrics.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { type WeightRatio, weightRatios } from "../../src/observe/weight-ratio.ts";

const build = { version: "0.1.0", nodeVersion: "26.5.1" };
const endpoints: readonly EndpointState[] = [
  { service: "shop", version: "stable", endpoint: "http://10.0.0.1:80", up: true },
  { service: "shop", version: "canary", endpoint: "http://10.0.0.2:80", up: false },
];
const ratios: readonly WeightRatio[] = [
  { release: "shop", version: "stable", ratio: 0.95 },
  { release: "shop", version: "canary", ratio: 0.05 },
];

const exporterOf = (stats: StatsRegistry): Metrics =>
  new Metrics({
    stats,
    endpointStates: () => endpoints,
    certificates: () => [],
    rollouts: undefined,
    weightRatios: () => ratios,
    workers: () => ({ serving: 4, restarts: 5 }),
    build,
  });

/** One of everything, so that no metric is without a line. */
const busy = (): StatsRegistry => {
  const stats = new StatsRegistry();
  const generation = stats.begin();
  const shop = generation.request("shop-api", "shop", "stable");
  generation.request("unused", "shop", "canary");
  const none = generation.request("none", "none", "none");
  const upstream = generation.upstream("shop", "stable");
  const release = generation.release("shop", ["stable", "canary"], ["east"]);
  const attribute = generation.attribute("registered-at", ["unparsable", "repeated"]);
  generation.commit();
  for (const method of ["GET", "GET", "BREW"]) shop.count(200, method);
  shop.count(499, "GET");
  for (const status of [0, 14, 0]) shop.countGrpc(status);
  for (const seconds of [0.004, 0.005, 0.006, 31]) shop.duration.observe(seconds);
  none.count(404, "GET");
  upstream.ttfb.observe(0.003);
  upstream.inFlight.value = 7;
  upstream.fallbacks.value = 2;
  upstream.error("connect-timeout");
  upstream.retry("success");
  upstream.pending.value = 3;
  upstream.overload("queue-full");
  release.decided("stable", "split", 0);
  release.decided("canary", "rule", 0);
  release.ruleHit("east");
  release.pinRejected("forged");
  release.pinFlips.value = 3;
  attribute.error("unparsable");
  stats.reloads.loaded(1_767_225_600_500, "a1b2c3d4e5f6");
  stats.reloads.rejected();
  stats.accessLog.dropped.value = 4;
  return stats;
};

const linesOf = async (metrics: Metrics): Promise<readonly string[]> =>
  (await metrics.render("prometheus")).body.split("\n");

describe("the exposition", () => {
  const inOrder = (name: string, lines: readonly string[]) => lines.filter((line) => line.startsWith(name));

  test.each([
    [
      "perch_requests_total",
      [
        '{route="shop-api",service="shop",version="stable",code="200",method="GET"} 2',
        '{route="shop-api",service="shop",version="stable",code="200",method="other"} 1',
        '{route="shop-api",service="shop",version="stable",code="499",method="GET"} 1',
        '{route="none",service="none",version="none",code="404",method="GET"} 1',
      ],
    ],
    [
      "perch_grpc_requests_total",
      [
        '{route="shop-api",service="shop",version="stable",grpc_status="0"} 2',
        '{route="shop-api",service="shop",version="stable",grpc_status="14"} 1',
      ],
    ],
    ["perch_fallbacks_total", ['{service="shop",version="stable"} 2']],
    ["perch_requests_in_flight", ['{service="shop",version="stable"} 7']],
    [
      "perch_upstream_errors_total",
      [
        '{service="shop",version="stable",kind="connect-failed"} 0',
        '{service="shop",version="stable",kind="connect-timeout"} 1',
        '{service="shop",version="stable",kind="tls-failed"} 0',
        '{service="shop",version="stable",kind="upstream-reset"} 0',
        '{service="shop",version="stable",kind="upstream-timeout"} 0',
        '{service="shop",version="stable",kind="upstream-malformed"} 0',
        '{service="shop",version="stable",kind="upstream-refused"} 0',
        '{service="shop",version="stable",kind="status-500"} 0',
        '{service="shop",version="stable",kind="status-502"} 0',
        '{service="shop",version="stable",kind="status-503"} 0',
        '{service="shop",version="stable",kind="status-504"} 0',
      ],
    ],
    [
      "perch_retries_total",
      [
        '{service="shop",version="stable",outcome="success"} 1',
        '{service="shop",version="stable",outcome="failure"} 0',
        '{service="shop",version="stable",outcome="rescued"} 0',
        '{service="shop",version="stable",outcome="denied"} 0',
      ],
    ],
    ["perch_requests_pending", ['{service="shop",version="stable"} 3']],
    [
      "perch_overloads_total",
      [
        '{service="shop",version="stable",cause="queue-full"} 1',
        '{service="shop",version="stable",cause="queue-timeout"} 0',
      ],
    ],
    [
      "perch_decisions_total",
      ['{release="shop",version="stable",reason="split"} 1', '{release="shop",version="canary",reason="rule"} 1'],
    ],
    ["perch_rule_hits_total", ['{release="shop",rule="east"} 1']],
    [
      "perch_pins_rejected_total",
      [
        '{release="shop",cause="forged"} 1',
        '{release="shop",cause="expired"} 0',
        '{release="shop",cause="oversized"} 0',
        '{release="shop",cause="malformed"} 0',
      ],
    ],
    ["perch_pin_flips_total", ['{release="shop"} 3']],
    [
      "perch_attribute_errors_total",
      ['{attribute="registered-at",cause="unparsable"} 1', '{attribute="registered-at",cause="repeated"} 0'],
    ],
    [
      "perch_endpoint_up",
      [
        '{service="shop",version="stable",endpoint="http://10.0.0.1:80"} 1',
        '{service="shop",version="canary",endpoint="http://10.0.0.2:80"} 0',
      ],
    ],
    [
      "perch_release_weight_ratio",
      ['{release="shop",version="stable"} 0.95', '{release="shop",version="canary"} 0.05'],
    ],
    ["perch_config_reloads_total", ['{result="success"} 0', '{result="failure"} 1']],
    ["perch_config_last_reload_successful", [" 0"]],
    ["perch_config_last_reload_success_timestamp_seconds", [" 1767225600.5"]],
    ["perch_config_info", ['{hash="a1b2c3d4e5f6"} 1']],
    ["perch_access_log_dropped_total", [" 4"]],
    ["perch_workers", [" 4"]],
    ["perch_worker_restarts_total", [" 5"]],
    ["perch_build_info", ['{version="0.1.0",node_version="26.5.1"} 1']],
  ])("of %s is exactly this", async (name, wanted) => {
    expect(inOrder(name, await linesOf(exporterOf(busy())))).toEqual(wanted.map((rest) => name + rest));
  });

  test("of a histogram counts up to each bound, and gives sum and count", async () => {
    const labels = 'route="shop-api",service="shop",version="stable"';
    const lines = inOrder("perch_request_duration_seconds", await linesOf(exporterOf(busy())));
    const bucket = (le: string, value: number) =>
      `perch_request_duration_seconds_bucket{${labels},le="${le}"} ${value}`;
    expect(lines).toEqual([
      ...["0.0005", "0.001", "0.0025"].map((le) => bucket(le, 0)),
      bucket("0.005", 2),
      ...["0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30"].map((le) => bucket(le, 3)),
      bucket("+Inf", 4),
      `perch_request_duration_seconds_sum{${labels}} 31.015`,
      `perch_request_duration_seconds_count{${labels}} 4`,
    ]);
  });

  test("declares every metric before it has series", async () => {
    const declared = async (stats: StatsRegistry) =>
      (await linesOf(exporterOf(stats))).filter((line) => /^# (HELP|TYPE) perch_/.test(line));
    const all = await declared(busy());
    expect(all).toContain("# TYPE perch_mirror_duration_seconds histogram");
    expect(await declared(new StatsRegistry())).toEqual(all);
  });

  test("escapes what a label may not hold", async () => {
    const state = { service: "shop", version: "stable", endpoint: 'http://"a\\b\nc', up: true };
    const metrics = new Metrics({
      stats: new StatsRegistry(),
      endpointStates: () => [state],
      certificates: () => [],
      rollouts: undefined,
      weightRatios: () => [],
      workers: () => ({ serving: 1, restarts: 0 }),
      build,
    });
    expect(inOrder("perch_endpoint_up", await linesOf(metrics))).toEqual([
      'perch_endpoint_up{service="shop",version="stable",endpoint="http://\\"a\\\\b\\nc"} 1',
    ]);
  });

  test("is the Prometheus text format, with the process's own metrics", async () => {
    const { contentType, body } = await exporterOf(new StatsRegistry()).render("prometheus");
    expect(contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(body).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(body).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
    expect(body.endsWith("\n")).toBe(true);
  });

  test("no longer holds the series of a route, version, release or attribute that a reload removed", async () => {
    const stats = busy();
    const metrics = exporterOf(stats);
    const generation = stats.begin();
    generation.request("none", "none", "none");
    generation.release("shop", ["stable"], []);
    generation.commit();
    const body = (await metrics.render("prometheus")).body;
    expect(body).not.toContain("shop-api");
    expect(body).not.toContain("registered-at");
    expect(body).not.toContain("east");
    expect(body).not.toMatch(/^perch_upstream_errors_total\{/m);
    expect(body).toContain('perch_decisions_total{release="shop",version="stable",reason="split"} 1');
    expect(body).toContain(
      'perch_requests_total{route="none",service="none",version="none",code="404",method="GET"} 1',
    );
  });

  const promtoolFound = spawnSync("promtool", ["--version"]).error === undefined;

  test.skipIf(!promtoolFound)("passes promtool check metrics (skipped where promtool is not installed)", async () => {
    const { body } = await exporterOf(busy()).render("prometheus");
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], { input: body, encoding: "utf8" });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
  });
});

describe("weight ratios", () => {
  const release = { name: "shop", versions: ["stable", "canary", "v3"] };

  test.each([
    { about: "weights that are no percentages", split: { stable: 3, canary: 1 }, wanted: [0.75, 0.25, 0] },
    { about: "fractions", split: { stable: 99.5, canary: 0.5 }, wanted: [0.995, 0.005, 0] },
    { about: "a version at zero", split: { stable: 1, canary: 0, v3: 1 }, wanted: [0.5, 0, 0.5] },
    { about: "no split", split: undefined, wanted: [] },
  ])("of $about", ({ split, wanted }) => {
    expect(Array.from(weightRatios([{ ...release, split }]), ({ ratio }) => ratio)).toEqual(wanted);
  });

  test("of a version that is named like a property of every object", () => {
    const odd = { name: "shop", versions: ["constructor", "stable"], split: { stable: 1 } };
    expect(Array.from(weightRatios([odd]), ({ ratio }) => ratio)).toEqual([0, 1]);
  });
});
