/** One measurement of each kind, of a running proxy after a short warm-up. */
import { complaints } from "../judge.ts";
import { type ProcessAccount, readProcessAccount } from "../process-account.ts";
import { busyShare, type CpuClock, readCpuClock } from "./cpu-clock.ts";
import { runGenerator, startClosedLoop, withIdleConnections } from "./run-generator.ts";
import type { RunningLoad } from "./running-load.ts";
import { bodyBytes, type Shape } from "./shapes.ts";
import type { Scene, Stage } from "./stage.ts";
import { startWrk } from "./wrk.ts";

/** The measured figures; their keys in the results. */
export interface Figures {
  readonly cpuUsPerRequest: number;
  readonly requestsPerSecond: number;
  readonly peakMiB: number;
  readonly proxyCoreBusy: number;
  readonly loadCoreBusy: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** The load's own part of the latencies. */
  readonly loadDelayP99Ms: number;
  readonly idleConnectionKiB: number;
}

/** The result of one measurement. */
export type Sample = Readonly<Partial<Figures>>;

export interface Window {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** All counters at one time; two of them bound a window. */
interface Glance {
  readonly atMs: number;
  readonly requests: number;
  readonly proxy: ProcessAccount | undefined;
  readonly proxyCpu: CpuClock | undefined;
  readonly loadCpu: CpuClock | undefined;
}

/** Opening connections is not part of the window. */
const connectMs = 0.3;
/** Time for memory to settle. */
const settleMs = 1_000;

export async function measureThroughput(stage: Stage, shape: Shape, scene: Scene, window: Window): Promise<Sample> {
  const warmUpMs = window.warmUpMs + shape.connections * connectMs;
  const load = startLoad(stage, shape, scene);
  await elapse(warmUpMs);
  const start = await glance(stage, scene);
  await elapse(window.measureMs);
  const end = await glance(stage, scene);
  scene.complain(await load.stop());

  const requests = end.requests - start.requests;
  const windowMs = end.atMs - start.atMs;
  const sample: Sample = { requestsPerSecond: (requests * 1000) / windowMs };
  return {
    ...sample,
    ...(start.proxy && end.proxy
      ? {
          cpuUsPerRequest: ((end.proxy.cpuMs - start.proxy.cpuMs) * 1000) / requests,
          peakMiB: end.proxy.peakResidentBytes / 2 ** 20,
        }
      : {}),
    ...defined("proxyCoreBusy", busyShare(start.proxyCpu, end.proxyCpu)),
    ...defined("loadCoreBusy", busyShare(start.loadCpu, end.loadCpu)),
  };
}

async function glance({ upstreams, pinning }: Stage, { proxy }: Scene): Promise<Glance> {
  const { requests } = await upstreams.seen();
  return {
    atMs: performance.now(),
    requests,
    proxy: readProcessAccount(proxy.pid),
    proxyCpu: readCpuClock(pinning.proxyCpu),
    loadCpu: readCpuClock(pinning.loadCpu),
  };
}

function startLoad({ wrk, pinning }: Stage, shape: Shape, { proxy, requestFile }: Scene): RunningLoad {
  const { connections, uploadBytes, tls } = shape;
  const load = { port: proxy.port, tls, connections, requestFile, uploadBytes, bodyBytes: bodyBytes(shape) };
  return wrk !== undefined && shape.load === "wrk"
    ? startWrk({ ...load, file: wrk, cpu: pinning.loadCpu })
    : startClosedLoop({ kind: "closed-loop", ...load, answers: undefined }, pinning.loadCpu);
}

export async function measureLatency(
  { pinning }: Stage,
  shape: Shape,
  { proxy: { port }, requestFile, complain, remark }: Scene,
  { warmUpMs, measureMs, requestsPerSecond }: Window & { readonly requestsPerSecond: number },
): Promise<Sample> {
  const { connections, uploadBytes, tls } = shape;
  const result = await runGenerator(
    {
      kind: "open-loop",
      port,
      tls,
      connections,
      requestFile,
      uploadBytes,
      bodyBytes: bodyBytes(shape),
      requestsPerSecond,
      warmUpMs,
      measureMs,
    },
    pinning.loadCpu,
  );
  if (result.overloaded) {
    remark(`could not keep up with ${requestsPerSecond} requests/s`);
    return {};
  }
  complain(complaints(result.verdict));
  const { p50Ms, p99Ms, p999Ms, ownDelayP99Ms } = result;
  return { p50Ms, p99Ms, p999Ms, ...defined("loadDelayP99Ms", ownDelayP99Ms) };
}

/** The growth of memory per connection that was used once and is idle. */
export async function measureIdleMemory(
  { pinning }: Stage,
  shape: Shape,
  { proxy, requestFile, complain }: Scene,
): Promise<Sample> {
  const { connections, uploadBytes, tls } = shape;
  await elapse(settleMs);
  const before = readProcessAccount(proxy.pid);
  let after: ProcessAccount | undefined;
  const { open } = await withIdleConnections(
    { kind: "idle", port: proxy.port, tls, connections, requestFile, uploadBytes, bodyBytes: bodyBytes(shape) },
    pinning.loadCpu,
    async () => {
      await elapse(settleMs);
      after = readProcessAccount(proxy.pid);
    },
  );
  if (open < connections) complain([`${connections - open} of ${connections} idle connections were closed`]);
  if (before === undefined || after === undefined) return {};
  return { idleConnectionKiB: (after.residentBytes - before.residentBytes) / 1024 / connections };
}

function defined(name: keyof Figures, value: number | undefined): Sample {
  return value === undefined ? {} : { [name]: value };
}

function elapse(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
