/** The setup of a run, and one proxy on it. */
import { join } from "node:path";
import type { Pinning } from "../child.ts";
import { complaints, Judge } from "../judge.ts";
import { pages } from "../pages.ts";
import { startProxy } from "../proxies.ts";
import { plainSituation, type RunningProxy, type Situation, sumOfMetric } from "../running-proxy.ts";
import type { User } from "../users.ts";
import type { Contender } from "./contenders.ts";
import { writeRequestFile } from "./request-file.ts";
import { runGenerator } from "./run-generator.ts";
import { bodyBytes, delayMs, movedBytes, routePrefixes, type Shape, shapePath } from "./shapes.ts";
import { type UpstreamCounts, type Upstreams, UpstreamsEnded } from "./upstreams.ts";

export interface Stage {
  readonly pinning: Pinning;
  readonly upstreams: Upstreams;
  /** wrk's file; undefined where it is not installed. */
  readonly wrk: string | undefined;
  readonly users: number;
  readonly secret: string;
  /** For the requests. */
  readonly directory: string;
}

const learningConnections = 64;
const judgingConnections = 64;
/** Where each response takes a second. */
const slowJudgedAnswers = 500;
const judgedBytes = 256 * 1024 * 1024;
/** Requests in flight at the end of a load may be in one count only. */
const countTolerance = 16;
/** A proxy that connects more often than once in this many requests does not keep connections alive. */
const reconnectionsAtMost = 0.02;

/**
 * Each user visits once; the pin and version of the response are stored. The name of the version stands beside the pin,
 * which is all that proxies without pins of their own need: so all get the same requests.
 */
export async function learnUsers(stage: Stage, contender: Contender): Promise<readonly User[]> {
  const proxy = await start(stage, contender, { ...plainSituation, connections: learningConnections }, true);
  try {
    const { port } = proxy;
    const { users: count, pinning } = stage;
    const job = { kind: "learn", port, users: count, connections: learningConnections } as const;
    const users = await runGenerator(job, pinning.loadCpu);
    const faults = complaints(new Judge(users, pages[0].bodyBytes).verdict());
    if (faults.length > 0) throw new Error(faults.join("; "));
    return users.map((user) => ({ ...user, pin: `bench=${user.version}; ${user.pin}` }));
  } finally {
    await proxy.stop();
  }
}

/** A running proxy with the requests of its users, from the check of its responses to the comparison of all counts. */
export class Scene {
  readonly proxy: RunningProxy;
  readonly requestFile: string;
  /** What voids the row. */
  readonly faults: Set<string>;
  readonly notes: Set<string>;
  readonly #stage: Stage;
  readonly #shape: Shape;
  #requests = 0;
  #connections = 0;
  #loads = 0;

  private constructor(stage: Stage, shape: Shape, proxy: RunningProxy, requestFile: string, outcome: Outcome) {
    this.#stage = stage;
    this.#shape = shape;
    this.proxy = proxy;
    this.requestFile = requestFile;
    this.faults = outcome.faults;
    this.notes = outcome.notes;
  }

  /** Faults and notes are added to `outcome`. */
  static async open(
    stage: Stage,
    contender: Contender,
    shape: Shape,
    users: readonly User[],
    outcome: Outcome,
  ): Promise<Scene> {
    const requestFile = join(stage.directory, `${contender.name}.requests`);
    writeRequestFile(requestFile, users, { ...shape, path: shapePath(shape) });
    const situation = {
      ...shape,
      routePrefixes: routePrefixes(shape),
      upstreamSockets: shape.upstreamsOver === "tcp" ? undefined : stage.upstreams.sockets,
    };
    const proxy = await start(stage, contender, situation, shape.isPinned);
    return new Scene(stage, shape, proxy, requestFile, outcome);
  }

  /** A load whose requests count. */
  async load<Result>(run: () => Promise<Result>): Promise<Result> {
    const before = await this.#seen();
    const result = await run();
    const after = await this.#seen();
    this.#requests += after.requests - before.requests;
    this.#connections += after.connections - before.connections;
    this.#loads += 1;
    return result;
  }

  complain(faults: readonly string[]): void {
    for (const fault of faults) this.faults.add(fault);
  }

  /** Each user's request once, as far as bodies are not too large for it; every response is checked. */
  async judge(): Promise<void> {
    const shape = this.#shape;
    const { users, pinning } = this.#stage;
    const isSlow = delayMs(shape) > 0;
    const answers = isSlow ? slowJudgedAnswers : Math.min(users, Math.floor(judgedBytes / movedBytes(shape)));
    const connections = Math.min(isSlow ? slowJudgedAnswers : judgingConnections, shape.connections);
    const { tls, uploadBytes } = shape;
    const target = { port: this.proxy.port, tls, connections, requestFile: this.requestFile };
    const job = { kind: "closed-loop", ...target, uploadBytes, bodyBytes: bodyBytes(shape), answers } as const;
    const { verdict } = await this.load(() => runGenerator(job, pinning.loadCpu));
    this.complain(complaints(verdict));
  }

  async close(): Promise<void> {
    try {
      const allowed = this.#loads * this.#shape.connections;
      if (this.#connections > Math.max(allowed, reconnectionsAtMost * this.#requests)) {
        this.notes.add(`opened ${this.#connections} connections to the upstreams for ${this.#requests} requests`);
      }
      await this.#compareCounts(allowed + this.#loads * countTolerance);
    } finally {
      await this.proxy.stop();
    }
  }

  #seen(): Promise<UpstreamCounts> {
    return this.#stage.upstreams.seen();
  }

  /** A proxy that does not count requests, or answers without the upstream, does less work. */
  async #compareCounts(tolerance: number): Promise<void> {
    const { metrics } = this.proxy;
    if (metrics === undefined) return;
    const counted = (await sumOfMetric(metrics, metrics.requestCounter)) ?? 0;
    if (Math.abs(counted - this.#requests) > tolerance) {
      this.complain([`${metrics.requestCounter} says ${counted}, the upstreams saw ${this.#requests} requests`]);
    }
    const handedOver = (await sumOfMetric(metrics, "perch_fast_lane_handovers_total")) ?? 0;
    if (handedOver > 0) this.notes.add(`${handedOver} connections were handed over to the standard lane`);
  }
}

export interface Outcome {
  readonly faults: Set<string>;
  readonly notes: Set<string>;
}

/** Runs `act`; an error voids the row, unless it is the upstreams'. Undefined where it failed. */
export async function orVoid<Result>(outcome: Outcome, act: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof UpstreamsEnded) throw error;
    outcome.faults.add(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

function start(
  { upstreams, pinning, secret }: Stage,
  { proxy, programs }: Contender,
  situation: Situation & { readonly connections: number },
  isPinned: boolean,
): Promise<RunningProxy> {
  const cpus = isPinned ? pinning : { ...pinning, proxyCpu: undefined };
  return startProxy(proxy, { ...situation, upstreams: upstreams.ports, pinning: cpus, programs, secret });
}
