import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { freeAfterTest, upstream } from "../kit/freed.ts";
import { exchange, perchTo } from "../kit/one-service.ts";
import { temporaryFolder } from "../kit/served.ts";
import { freePort } from "../kit/upstream.ts";

const isFound = spawnSync("prometheus", ["--version"]).error === undefined;
if (!isFound) console.info("skipped: no prometheus to scrape /metrics with");
const traceId = "0af7651916cd43dd8448eb211c80319c";

it.skipIf(!isFound)("Prometheus scrapes OpenMetrics without a fault, and keeps its exemplars", async () => {
  const stable = await upstream("stable");
  const perch = await perchTo(stable.origin, "trustedProxies: [127.0.0.0/8]\ntracing: { sample: 0 }");
  const traced = `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\ntraceparent: 00-${traceId}-b7ad6b7169203331-01\r\n\r\n`;
  await exchange(perch.port, traced);
  const api = await prometheusFor(new URL(perch.adminOrigin).host);
  const eventually = { timeout: 60_000, interval: 200 };
  await expect.poll(() => exemplars(api, "perch_request_duration_seconds_bucket"), eventually).toEqual([traceId]);
  await expect.poll(() => exemplars(api, "perch_upstream_ttfb_seconds_bucket"), eventually).toEqual([traceId]);
  const { activeTargets } = await asked<{ activeTargets: readonly unknown[] }>(api, "targets");
  expect(activeTargets).toEqual([expect.objectContaining({ health: "up", lastError: "" })]);
  // What was asked for the classic names finds them.
  const { result } = await asked<{ result: readonly { value: unknown[] }[] }>(api, "query?query=perch_requests_total");
  expect(result.map(({ value }) => value[1])).toEqual(["1"]);
});

/** Started, and scraping this address each second; where its API is. */
async function prometheusFor(target: string): Promise<string> {
  const folder = await temporaryFolder();
  const port = await freePort();
  const config = `scrape_configs: [{ job_name: perch, scrape_interval: 1s, static_configs: [{ targets: ["${target}"] }] }]`;
  await writeFile(join(folder, "prometheus.yml"), config);
  const child: ChildProcess = spawn("prometheus", [
    `--config.file=${join(folder, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--enable-feature=exemplar-storage",
  ]);
  freeAfterTest(async () => {
    const closed = once(child, "close");
    child.kill();
    await closed;
  });
  return `http://127.0.0.1:${port}/api/v1`;
}

async function asked<T>(api: string, path: string): Promise<T> {
  const response = await fetch(`${api}/${path}`);
  return ((await response.json()) as { readonly data: T }).data;
}

/** The trace ids that it keeps; none while it does not answer yet. */
async function exemplars(api: string, metric: string): Promise<readonly string[]> {
  type Found = readonly { readonly exemplars: readonly { readonly labels: { readonly trace_id: string } }[] }[];
  const [start, end] = [Date.now() / 1000 - 600, Date.now() / 1000 + 600];
  const found = await asked<Found>(api, `query_exemplars?query=${metric}&start=${start}&end=${end}`).catch(() => []);
  return found.flatMap((series) => series.exemplars.map(({ labels }) => labels.trace_id));
}
