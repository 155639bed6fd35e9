/**
 * One measurement of one proxy, in its own process: collects every user's pin, then replays them with autocannon while
 * it reads the proxy's CPU time. Takes one job from its parent, sends the result, and ends.
 */
import autocannon from "autocannon";
import { Judge, type Verdict } from "./judge.ts";
import { learnPins } from "./learn-pins.ts";
import { endWithParent, tellParent } from "./parent.ts";
import { type ProcessAccount, readProcessAccount } from "./process-account.ts";
import { quantile } from "./spread.ts";
import { type PlannedRequest, planRequests, type User } from "./users.ts";

export interface LoadJob {
  readonly port: number;
  readonly proxyPid: number;
  readonly upstreamPid: number;
  readonly connections: number;
  readonly users: number;
  /** The body of the upstreams' responses. */
  readonly bodyBytes: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface LoadResult {
  /** All responses of this process, for comparison with the proxy's own counters. */
  readonly answersInAll: number;
  readonly windowMs: number;
  /** Within the window, as all that follows. */
  readonly answers: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Undefined where the system does not report it. */
  readonly proxyCpuMs: number | undefined;
  /** Since the start of the proxy. */
  readonly proxyPeakResidentBytes: number | undefined;
  /** The utilisation of the core of load and upstreams; near 1 the throughput is theirs, not the proxy's. */
  readonly loadCoreShare: number;
  /** Of the whole run, including the warm-up. */
  readonly verdict: Verdict;
}

export type LoadMessage =
  | { readonly kind: "result"; readonly result: LoadResult }
  | { readonly kind: "failed"; readonly why: string };

/** One request in this many is a new visitor's. */
const newOneIn = 20;
/** A load that its own timer does not stop is ended after this time. */
const graceSeconds = 30;

/** All counters at one time; two of them bound the window. */
interface Glance {
  readonly atMs: number;
  readonly answers: number;
  readonly proxy: ProcessAccount | undefined;
  readonly loadCoreMs: number;
}

/** A running load: autocannon with several connections, each with its own sequence of requests. */
class Load {
  /** Of every response so far, in order. */
  readonly latenciesMs: number[] = [];
  readonly #autocannon: autocannon.Instance;
  readonly #ended: Promise<void>;

  constructor(job: LoadJob, users: readonly User[], judge: Judge) {
    const runs = planRequests(users, job.connections, newOneIn);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let connection = 0;
    this.#ended = promise;
    this.#autocannon = autocannon(
      {
        url: `http://127.0.0.1:${job.port}`,
        connections: job.connections,
        duration: Math.ceil((job.warmUpMs + job.measureMs) / 1000) + graceSeconds,
        setupClient: (client) => {
          const run = runs[connection++] ?? [];
          client.setRequests(run.map(({ path, headers }) => ({ path, headers })));
          watch(client, run, judge);
        },
      },
      (error: unknown) => (error ? reject(error) : resolve()),
    );
    this.#autocannon.on("reqError", () => judge.connectionFailed());
    this.#autocannon.on("response", (_client, _status, _bytes, durationMs) => this.latenciesMs.push(durationMs));
  }

  stop(): Promise<void> {
    this.#autocannon.stop();
    return this.#ended;
  }
}

/** A response's head as autocannon parses it: names and values alternate. */
interface RawHead {
  readonly statusCode: number;
  readonly headers: readonly string[];
}

/**
 * Checks every response's head, at little cost: it shares a core with the load. Responses are in the order of the
 * requests, since a connection sends one only after the response to the last.
 */
function watch(client: autocannon.Client, run: readonly PlannedRequest[], judge: Judge): void {
  let answered = 0;
  // The declared type of this event is wrong (autocannon 9, lib/httpClient.js).
  client.on("headers", (head: unknown) => {
    const request = run[answered++ % run.length];
    if (request !== undefined) judgeHead(request, head as RawHead, judge);
  });
}

function judgeHead(request: PlannedRequest, { statusCode, headers }: RawHead, judge: Judge): void {
  let version: string | undefined;
  let setsCookie = false;
  let bodyBytes = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? "";
    if (name.length === 9 && name.toLowerCase() === "x-version") version = headers[i + 1];
    else if (name.length === 10 && name.toLowerCase() === "set-cookie") setsCookie = true;
    else if (name.length === 14 && name.toLowerCase() === "content-length") bodyBytes = Number(headers[i + 1]);
  }
  judge.judge(request.wanted, { status: statusCode, version, setsCookie, bodyBytes });
}

async function measure(job: LoadJob): Promise<LoadResult> {
  const users = await learnPins(job);
  const judge = new Judge(users, job.bodyBytes);
  const load = new Load(job, users, judge);
  const glance = (): Glance => ({
    atMs: performance.now(),
    answers: load.latenciesMs.length,
    proxy: readProcessAccount(job.proxyPid),
    loadCoreMs: ownCpuMs() + (readProcessAccount(job.upstreamPid)?.cpuMs ?? 0),
  });
  await elapse(job.warmUpMs);
  const start = glance();
  await elapse(job.measureMs);
  const end = glance();
  await load.stop();

  const windowMs = end.atMs - start.atMs;
  const windowLatencies = Float64Array.from(load.latenciesMs.slice(start.answers, end.answers)).sort();
  return {
    answersInAll: users.length + load.latenciesMs.length,
    windowMs,
    answers: end.answers - start.answers,
    p50Ms: quantile(windowLatencies, 0.5),
    p99Ms: quantile(windowLatencies, 0.99),
    proxyCpuMs: start.proxy && end.proxy ? end.proxy.cpuMs - start.proxy.cpuMs : undefined,
    proxyPeakResidentBytes: end.proxy?.peakResidentBytes,
    loadCoreShare: (end.loadCoreMs - start.loadCoreMs) / windowMs,
    verdict: judge.verdict(),
  };
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function elapse(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

endWithParent();
process.once("message", (job: LoadJob) => {
  measure(job)
    .then(
      (result): LoadMessage => ({ kind: "result", result }),
      (error: unknown): LoadMessage => ({
        kind: "failed",
        why: error instanceof Error ? error.message : String(error),
      }),
    )
    .then(tellParent);
});
