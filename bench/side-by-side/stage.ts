/** The setup of a run, which all measurements use. */
import { join } from "node:path";
import type { Pinning } from "../child.ts";
import { complaints, Judge } from "../judge.ts";
import { pages } from "../pages.ts";
import type { Programs } from "../programs.ts";
import { type ProxyName, startProxy } from "../proxies.ts";
import { type RunningProxy, type StartOptions, sumOfMetric } from "../running-proxy.ts";
import type { User } from "../users.ts";
import { writeRequestFile } from "./request-file.ts";
import { runGenerator } from "./run-generator.ts";
import { bodyBytes, routePrefixes, type Shape, shapePath } from "./shapes.ts";
import { type Upstreams, UpstreamsEnded } from "./upstreams.ts";

export interface Stage {
  readonly pinning: Pinning;
  readonly programs: Programs;
  readonly upstreams: Upstreams;
  /** wrk's file; undefined where it is not installed. */
  readonly wrk: string | undefined;
  readonly users: number;
  readonly secret: string;
  /** For the requests. */
  readonly directory: string;
}

/** A proxy and the requests of users with its pins, of this or an earlier process. */
export interface Scene {
  readonly proxy: RunningProxy;
  readonly requestFile: string;
  readonly complain: (faults: readonly string[]) => void;
  readonly remark: (note: string) => void;
}

const learningConnections = 64;
/** Requests in flight at the end of a measurement may be in one count only. */
const countTolerance = 16;
/** The number of responses that are checked before the measurement; they also warm the proxy up. */
const judgedAnswers = 2_000;
/** A proxy that connects more often than once in this many requests does not keep connections alive. */
const reconnectionsAtMost = 0.02;
/** Connections of the benchmark itself, or of the start of a pool. */
const spareConnections = 64;
const judgedBytes = 256 * 1024 * 1024;

/** Each user visits once; the pin and version of the response are stored. */
export async function learnUsers(stage: Stage, name: ProxyName): Promise<readonly User[]> {
  const proxy = await start(stage, name, { connections: learningConnections, routePrefixes: [], tls: false });
  try {
    const { port } = proxy;
    const { users: count, pinning } = stage;
    const job = { kind: "learn", port, users: count, connections: learningConnections } as const;
    const users = await runGenerator(job, pinning.loadCpu);
    const faults = complaints(new Judge(users, pages[0].bodyBytes).verdict());
    if (faults.length > 0) throw new Error(faults.join("; "));
    return users;
  } finally {
    await proxy.stop();
  }
}

/** Starts the proxy, checks some responses, runs `measure`, and compares the counts of load, proxy and upstreams. */
export async function playScene(
  stage: Stage,
  name: ProxyName,
  shape: Shape,
  users: readonly User[],
  measure: (scene: Scene) => Promise<void>,
): Promise<{ readonly faults: readonly string[]; readonly notes: readonly string[] }> {
  const faults: string[] = [];
  const notes: string[] = [];
  const requestFile = join(stage.directory, `${name}.requests`);
  let proxy: RunningProxy | undefined;
  try {
    writeRequestFile(requestFile, users, { uploadBytes: shape.uploadBytes, path: shapePath(shape) });
    proxy = await start(stage, name, {
      connections: shape.connections,
      routePrefixes: routePrefixes(shape),
      tls: shape.tls,
    });
    stage.upstreams.complaints();
    const before = await stage.upstreams.seen();
    const scene: Scene = {
      proxy,
      requestFile,
      complain: (found) => faults.push(...found),
      remark: (note) => notes.push(note),
    };
    await judgeSome(stage, shape, scene);
    if (faults.length === 0) await measure(scene);
    const after = await stage.upstreams.seen();
    const requests = after.requests - before.requests;
    const reconnections = after.connections - before.connections - shape.connections;
    if (reconnections > Math.max(spareConnections, reconnectionsAtMost * requests)) {
      scene.remark(`opened ${reconnections} connections to the upstreams for ${requests} requests`);
    }
    faults.push(...stage.upstreams.complaints());
    await compareCounts(scene, requests, shape.connections + countTolerance);
  } catch (error) {
    if (error instanceof UpstreamsEnded) throw error;
    faults.push(error instanceof Error ? error.message : String(error));
  } finally {
    await proxy?.stop();
  }
  return { faults, notes };
}

function start(
  { upstreams, pinning, programs, secret }: Stage,
  name: ProxyName,
  options: Pick<StartOptions, "connections" | "routePrefixes" | "tls">,
): Promise<RunningProxy> {
  return startProxy(name, {
    upstreams: upstreams.ports,
    pinning,
    programs,
    secret,
    ...options,
  });
}

async function judgeSome(stage: Stage, shape: Shape, { proxy, requestFile, complain }: Scene): Promise<void> {
  const { uploadBytes, tls } = shape;
  const answers = Math.max(16, Math.min(judgedAnswers, Math.floor(judgedBytes / bodyBytes(shape))));
  const connections = Math.min(64, shape.connections);
  const { port } = proxy;
  const result = await runGenerator(
    {
      kind: "closed-loop",
      port,
      tls,
      connections,
      requestFile,
      uploadBytes,
      bodyBytes: bodyBytes(shape),
      answers,
    },
    stage.pinning.loadCpu,
  );
  complain(complaints(result.verdict));
}

/** A proxy that does not count requests, or answers without the upstream, does less work. */
async function compareCounts(
  { proxy: { metrics }, complain, remark }: Scene,
  seen: number,
  tolerance: number,
): Promise<void> {
  if (metrics === undefined) return;
  const counted = (await sumOfMetric(metrics, metrics.requestCounter)) ?? 0;
  if (Math.abs(counted - seen) > tolerance) {
    complain([`${metrics.requestCounter} says ${counted}, the upstreams saw ${seen} requests`]);
  }
  const handedOver = (await sumOfMetric(metrics, "perch_fast_lane_handovers_total")) ?? 0;
  if (handedOver > 0) remark(`${handedOver} connections were handed over to the standard lane`);
}
