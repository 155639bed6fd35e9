/**
 * Every proxy under the same load, in turns: each round starts each proxy, sends it the requests of all users, measures
 * it, checks its responses, and stops it. Measurements share only the upstreams.
 */
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Child, nodeCommand, type Pinning } from "./child.ts";
import { complaints } from "./judge.ts";
import type { LoadJob, LoadMessage, LoadResult } from "./load.ts";
import { pages } from "./pages.ts";
import type { Programs } from "./programs.ts";
import { type ProxyName, startProxy } from "./proxies.ts";
import {
  plainSituation,
  type RunningProxy,
  type StartOptions,
  sumOfMetric,
  type UpstreamPorts,
} from "./running-proxy.ts";
import { median } from "./spread.ts";
import type { UpstreamReport } from "./upstream.ts";

export interface EndToEndSettings {
  readonly proxies: readonly ProxyName[];
  readonly rounds: number;
  readonly connections: number;
  readonly users: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface Measurement {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUsPerRequest: number | undefined;
  readonly peakResidentMiB: number | undefined;
  /** The share of its core. */
  readonly proxyBusy: number | undefined;
  readonly loadCoreBusy: number;
}

export interface ProxyResult {
  readonly name: ProxyName;
  /** Medians over the rounds; undefined without a valid measurement. */
  readonly median: Measurement | undefined;
  readonly rounds: readonly Measurement[];
  /** Why the row is invalid; empty where every response was right. */
  readonly void: readonly string[];
}

export async function runEndToEnd(
  settings: EndToEndSettings,
  programs: Programs,
  pinning: Pinning,
  say: (line: string) => void,
): Promise<readonly ProxyResult[]> {
  const upstream = new Child({ command: nodeCommand(ownProgram("upstream.ts")), cpu: pinning.loadCpu, messages: true });
  const upstreams = await upstream.nextMessage<UpstreamPorts>();
  const options: StartOptions = {
    programs,
    pinning,
    upstreams,
    secret: randomBytes(48).toString("base64url"),
    connections: settings.connections,
    ...plainSituation,
  };
  const rows = new Map(
    settings.proxies.map((name) => [name, { rounds: [] as Measurement[], faults: new Set<string>() }]),
  );
  for (let round = 0; round < settings.rounds; round++) {
    // Back and forth, so that a machine that slows down or warms up favours no proxy.
    const order = round % 2 === 0 ? settings.proxies : settings.proxies.toReversed();
    for (const name of order) {
      const row = rows.get(name);
      if (row === undefined || row.faults.size > 0) continue;
      const outcome = await measureOnce(name, settings, options, upstream);
      for (const fault of outcome.faults) row.faults.add(fault);
      if (outcome.measurement !== undefined) row.rounds.push(outcome.measurement);
      say(`round ${round + 1}/${settings.rounds} ${name}: ${describe(outcome)}`);
    }
  }
  await upstream.stop();
  return [...rows].map(([name, { rounds, faults }]) => ({
    name,
    rounds,
    void: [...faults],
    median: faults.size === 0 ? medianOf(rounds) : undefined,
  }));
}

interface Outcome {
  readonly measurement: Measurement | undefined;
  readonly faults: readonly string[];
}

async function measureOnce(
  name: ProxyName,
  settings: EndToEndSettings,
  options: StartOptions,
  upstream: Child,
): Promise<Outcome> {
  let proxy: RunningProxy | undefined;
  try {
    proxy = await startProxy(name, options);
    await reportOf(upstream);
    const result = await loadOnce(
      { ...settings, bodyBytes: pages[0].bodyBytes, port: proxy.port, proxyPid: proxy.pid, upstreamPid: upstream.pid },
      options.pinning,
    );
    const faults = [
      ...complaints(result.verdict),
      ...forwardingComplaints(await reportOf(upstream)),
      ...(await countingComplaints(proxy, result, settings.connections)),
    ];
    return { measurement: toMeasurement(result), faults };
  } catch (error) {
    return { measurement: undefined, faults: [error instanceof Error ? error.message : String(error)] };
  } finally {
    await proxy?.stop();
  }
}

async function loadOnce(job: LoadJob, pinning: Pinning): Promise<LoadResult> {
  const child = new Child({ command: nodeCommand(ownProgram("load.ts")), cpu: pinning.loadCpu, messages: true });
  try {
    child.send(job);
    const message = await child.nextMessage<LoadMessage>(job.warmUpMs + job.measureMs + 60_000);
    if (message.kind === "failed") throw new Error(message.why);
    return message.result;
  } finally {
    await child.stop();
  }
}

function ownProgram(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** The counts of the upstreams since the last report; the first one of a measurement only resets them. */
async function reportOf(upstream: Child): Promise<UpstreamReport> {
  const report = upstream.nextMessage<UpstreamReport>();
  upstream.send({});
  return report;
}

function forwardingComplaints({ inspected, unforwarded }: UpstreamReport): readonly string[] {
  if (inspected === 0) return ["the upstreams saw too few requests to inspect any"];
  if (unforwarded === 0) return [];
  return [`${unforwarded} of ${inspected} inspected requests lacked X-Forwarded-For or X-Forwarded-Proto`];
}

/** A proxy that does not count requests does less work. Requests in flight at the end may be in either count. */
async function countingComplaints(
  proxy: RunningProxy,
  result: LoadResult,
  tolerance: number,
): Promise<readonly string[]> {
  if (proxy.metrics === undefined) return ["it keeps no count of requests"];
  const { requestCounter } = proxy.metrics;
  const counted = (await sumOfMetric(proxy.metrics, requestCounter)) ?? 0;
  if (Math.abs(counted - result.answersInAll) <= tolerance) return [];
  return [`${requestCounter} says ${counted}, the load had ${result.answersInAll} answers`];
}

function toMeasurement(result: LoadResult): Measurement {
  const { proxyCpuMs, proxyPeakResidentBytes } = result;
  return {
    requestsPerSecond: (result.answers * 1000) / result.windowMs,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    cpuUsPerRequest: proxyCpuMs === undefined ? undefined : (proxyCpuMs * 1000) / result.answers,
    peakResidentMiB: proxyPeakResidentBytes === undefined ? undefined : proxyPeakResidentBytes / 2 ** 20,
    proxyBusy: proxyCpuMs === undefined ? undefined : proxyCpuMs / result.windowMs,
    loadCoreBusy: result.loadCoreShare,
  };
}

function medianOf(rounds: readonly Measurement[]): Measurement | undefined {
  if (rounds.length === 0) return undefined;
  const over = (pick: (round: Measurement) => number | undefined) =>
    median(rounds.map(pick).filter((value) => value !== undefined));
  return {
    requestsPerSecond: over((round) => round.requestsPerSecond) ?? Number.NaN,
    p50Ms: over((round) => round.p50Ms) ?? Number.NaN,
    p99Ms: over((round) => round.p99Ms) ?? Number.NaN,
    cpuUsPerRequest: over((round) => round.cpuUsPerRequest),
    peakResidentMiB: over((round) => round.peakResidentMiB),
    proxyBusy: over((round) => round.proxyBusy),
    loadCoreBusy: over((round) => round.loadCoreBusy) ?? Number.NaN,
  };
}

function describe({ measurement, faults }: Outcome): string {
  if (faults.length > 0 || measurement === undefined) return `void: ${faults.join("; ")}`;
  const cpu = measurement.cpuUsPerRequest?.toFixed(1) ?? "?";
  return `${Math.round(measurement.requestsPerSecond)} requests/s, ${cpu} µs CPU a request`;
}
