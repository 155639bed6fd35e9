/** One measurement of each kind, of a running proxy that is warm. */
import { complaints } from "../judge.ts";
import { type ProcessAccount, readProcessAccount } from "../process-account.ts";
import { busyShare, type CpuClock, readCpuClock } from "./cpu-clock.ts";
import type { OpenLoopResult } from "./generator-jobs.ts";
import { startClosedLoop, withIdleConnections, withOpenLoop } from "./run-generator.ts";
import type { RunningLoad } from "./running-load.ts";
import { bodyBytes, delayMs, movedBytes, type Shape } from "./shapes.ts";
import type { Scene, Stage } from "./stage.ts";
import { startWrk } from "./wrk.ts";

/** The measured figures; their keys in the results. */
export interface Figures {
  /** At the fixed rate. */
  readonly cpuUsPerRequest: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** The load's own part of the latencies. */
  readonly loadDelayP99Ms: number;
  /** Bytes that JavaScript allocates per request. */
  readonly garbageBytes: number;
  /** Without pause, where the faster proxy keeps the load busier. */
  readonly saturatedCpuUsPerRequest: number;
  readonly requestsPerSecond: number;
  readonly cpuUsPerMiB: number;
  readonly proxyCoreBusy: number;
  /** The share of the proxy's core that other programs took, at the fixed rate. */
  readonly othersBusy: number;
  readonly loadCoreBusy: number;
  /** CPU time of the least busy worker, as a share of the busiest one's: how evenly connections are spread. */
  readonly workerEvenness: number;
  /** Since the start of the process. */
  readonly peakMiB: number;
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
  readonly allocatedBytes: number | undefined;
  readonly proxy: ProcessAccount | undefined;
  readonly proxyCpu: CpuClock | undefined;
  readonly loadCpu: CpuClock | undefined;
}

/** Opening connections is not part of the window. */
const connectMs = 0.3;
/** Time for memory to settle. */
const settleMs = 1_000;
const idleWarmUpConnections = 64;
/** From here on, CPU time is also given by MiB. */
const largeBytes = 16 * 1024;

/** Engines that compile at run time need seconds of load: in its first, a Node proxy takes twice its later CPU time. */
export async function warmUp(stage: Stage, shape: Shape, scene: Scene, ms: number): Promise<void> {
  if (!shape.measures.includes("saturated") && shape.requestsPerSecond !== undefined) {
    await openLoop(stage, shape, scene, { warmUpMs: 0, measureMs: ms }, shape.requestsPerSecond, async () => {});
    return;
  }
  const connections = shape.measures.includes("idle") ? idleWarmUpConnections : shape.connections;
  await saturate(stage, { ...shape, connections }, scene, () => elapse(ms));
}

export async function measureSaturated(stage: Stage, shape: Shape, scene: Scene, window: Window): Promise<Sample> {
  const [start, end] = await saturate(stage, shape, scene, () => watchWindow(stage, shape, scene, window));
  const requests = end.requests - start.requests;
  const cpuUs = cpuUsBetween(start, end);
  return {
    requestsPerSecond: (requests * 1000) / (end.atMs - start.atMs),
    ...defined("saturatedCpuUsPerRequest", cpuUs && cpuUs / requests),
    ...defined(
      "cpuUsPerMiB",
      cpuUs && movedBytes(shape) >= largeBytes ? cpuUs / ((requests * movedBytes(shape)) / 2 ** 20) : undefined,
    ),
    ...defined("peakMiB", end.proxy && end.proxy.peakResidentBytes / 2 ** 20),
    ...defined("workerEvenness", evennessBetween(start, end, shape.workers)),
    ...(shape.isPinned ? defined("proxyCoreBusy", busyShare(start.proxyCpu, end.proxyCpu)) : {}),
    ...defined("loadCoreBusy", busyShare(start.loadCpu, end.loadCpu)),
  };
}

/** At `requestsPerSecond`, the same for all: none makes the load wait. */
export async function measureFixed(
  stage: Stage,
  shape: Shape,
  scene: Scene,
  window: Window,
  requestsPerSecond: number,
): Promise<Sample> {
  // Until as many requests are in flight as there will be.
  const steady = { ...window, warmUpMs: window.warmUpMs + 2 * delayMs(shape) };
  let watched: readonly [Glance, Glance] | undefined;
  const result = await openLoop(stage, shape, scene, steady, requestsPerSecond, async () => {
    watched = await watchWindow(stage, { ...shape, connections: 0 }, scene, steady);
  });
  if (result.overloaded || watched === undefined) {
    scene.notes.add(`could not keep up with ${requestsPerSecond} requests/s`);
    return {};
  }
  const [start, end] = watched;
  const requests = end.requests - start.requests;
  const cpuUs = cpuUsBetween(start, end);
  const allocated =
    start.allocatedBytes === undefined || end.allocatedBytes === undefined
      ? undefined
      : end.allocatedBytes - start.allocatedBytes;
  const { p50Ms, p99Ms, p999Ms, ownDelayP99Ms } = result;
  return {
    ...defined("cpuUsPerRequest", cpuUs && cpuUs / requests),
    ...(shape.isPinned ? defined("othersBusy", othersBetween(start, end)) : {}),
    p50Ms,
    p99Ms,
    p999Ms,
    ...defined("loadDelayP99Ms", ownDelayP99Ms),
    ...defined("garbageBytes", allocated === undefined ? undefined : allocated / requests),
    ...defined("peakMiB", end.proxy && end.proxy.peakResidentBytes / 2 ** 20),
  };
}

/** The growth of memory per connection that was used once and is idle. */
export async function measureIdleMemory({ pinning }: Stage, shape: Shape, scene: Scene): Promise<Sample> {
  const { connections, uploadBytes, tls } = shape;
  const { proxy, requestFile } = scene;
  await elapse(settleMs);
  const before = readProcessAccount(proxy.pid);
  let after: ProcessAccount | undefined;
  const target = { port: proxy.port, tls, connections, requestFile, uploadBytes, bodyBytes: bodyBytes(shape) };
  const { open } = await scene.load(() =>
    withIdleConnections({ kind: "idle", ...target }, pinning.loadCpu, async () => {
      await elapse(settleMs);
      after = readProcessAccount(proxy.pid);
    }),
  );
  if (open < connections) scene.complain([`${connections - open} of ${connections} idle connections were closed`]);
  if (before === undefined || after === undefined) return {};
  return { idleConnectionKiB: (after.residentBytes - before.residentBytes) / 1024 / connections };
}

/** A load without pause while `meanwhile` runs. */
function saturate<Result>(stage: Stage, shape: Shape, scene: Scene, meanwhile: () => Promise<Result>): Promise<Result> {
  return scene.load(async () => {
    const load = startLoad(stage, shape, scene);
    try {
      return await meanwhile();
    } finally {
      scene.complain(await load.stop());
    }
  });
}

function startLoad({ wrk, pinning }: Stage, shape: Shape, { proxy, requestFile }: Scene): RunningLoad {
  const { connections, uploadBytes, tls } = shape;
  const cpu = shape.isPinned ? pinning.loadCpu : undefined;
  const load = { port: proxy.port, tls, connections, requestFile, uploadBytes, bodyBytes: bodyBytes(shape) };
  return wrk !== undefined && shape.load === "wrk"
    ? startWrk({ ...load, file: wrk, cpu })
    : startClosedLoop({ kind: "closed-loop", ...load, answers: undefined }, cpu);
}

async function openLoop(
  { pinning }: Stage,
  shape: Shape,
  scene: Scene,
  window: Window,
  requestsPerSecond: number,
  meanwhile: () => Promise<void>,
): Promise<OpenLoopResult> {
  const { connections, uploadBytes, tls } = shape;
  const { proxy, requestFile } = scene;
  const target = { port: proxy.port, tls, connections, requestFile, uploadBytes, bodyBytes: bodyBytes(shape) };
  const job = { kind: "open-loop", ...target, requestsPerSecond, ...window } as const;
  const result = await scene.load(() => withOpenLoop(job, pinning.loadCpu, meanwhile));
  if (!result.overloaded) scene.complain(complaints(result.verdict));
  return result;
}

async function watchWindow(
  stage: Stage,
  { connections }: Shape,
  scene: Scene,
  { warmUpMs, measureMs }: Window,
): Promise<readonly [Glance, Glance]> {
  await elapse(warmUpMs + connections * connectMs);
  const start = await glance(stage, scene);
  await elapse(measureMs);
  return [start, await glance(stage, scene)];
}

async function glance({ upstreams, pinning }: Stage, { proxy }: Scene): Promise<Glance> {
  const allocatedBytes = await proxy.allocatedBytes?.();
  const { requests } = await upstreams.seen();
  return {
    atMs: performance.now(),
    requests,
    allocatedBytes,
    proxy: readProcessAccount(proxy.pid),
    proxyCpu: readCpuClock(pinning.proxyCpu),
    loadCpu: readCpuClock(pinning.loadCpu),
  };
}

function cpuUsBetween(start: Glance, end: Glance): number | undefined {
  return start.proxy && end.proxy && (end.proxy.cpuMs - start.proxy.cpuMs) * 1000;
}

/** Clock ticks make it inexact by a percent or two. */
function othersBetween(start: Glance, end: Glance): number | undefined {
  const busy = busyShare(start.proxyCpu, end.proxyCpu);
  const cpuUs = cpuUsBetween(start, end);
  if (busy === undefined || cpuUs === undefined) return undefined;
  return Math.max(0, busy - cpuUs / 1000 / (end.atMs - start.atMs));
}

/** The busiest threads are those that serve. */
function evennessBetween(start: Glance, end: Glance, workers: number): number | undefined {
  if (workers === 1 || start.proxy === undefined || end.proxy === undefined) return undefined;
  const { threadCpuMs } = start.proxy;
  const spent = Array.from(end.proxy.threadCpuMs, ([thread, ms]) => ms - (threadCpuMs.get(thread) ?? 0));
  const busiest = spent.sort((left, right) => right - left).slice(0, workers);
  return (busiest.at(-1) ?? 0) / (busiest[0] ?? Number.NaN);
}

function defined(name: keyof Figures, value: number | undefined): Sample {
  return value === undefined ? {} : { [name]: value };
}

function elapse(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
