/**
 * One measurement of one proxy, in a process of its own: collects every user's own pin, then lets autocannon replay
 * them while the proxy's CPU time is read from outside. Takes one job from its parent, answers it, and ends.
 */
import autocannon from "autocannon";
import { Pool } from "undici";
import { Judge, type Verdict } from "./judge.ts";
import { endWithParent, tellParent } from "./parent.ts";
import { type ProcessAccount, readProcessAccount } from "./process-account.ts";
import { matchesRule, planRequests, requestHeaders, requestPath, type User } from "./users.ts";

export interface LoadJob {
  readonly port: number;
  readonly proxyPid: number;
  readonly upstreamPid: number;
  readonly connections: number;
  readonly users: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface LoadResult {
  /** Every answer since the first request of this process, for comparison with the proxy's own counters. */
  readonly answersInAll: number;
  readonly windowMs: number;
  /** Within the window, like all that follows. */
  readonly answers: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Undefined where the system keeps no such account. */
  readonly proxyCpuMs: number | undefined;
  /** Since the proxy's start. */
  readonly proxyPeakResidentBytes: number | undefined;
  /** How busy load and upstreams kept their core; near 1 the throughput measures them, not the proxy. */
  readonly loadCoreShare: number;
  /** Of the whole run, warm-up included. */
  readonly verdict: Verdict;
}

export type LoadMessage =
  | { readonly kind: "result"; readonly result: LoadResult }
  | { readonly kind: "failed"; readonly why: string };

/** A load that its own timer fails to stop ends this much later. */
const graceSeconds = 30;

/** Each user visits once without a cookie, and is remembered with the pin and the version that came back. */
async function learnPins(job: LoadJob): Promise<readonly User[]> {
  const pool = new Pool(`http://127.0.0.1:${job.port}`, { connections: job.connections });
  const users: User[] = [];
  let next = 0;
  const visitAll = async () => {
    for (let user = next++; user < job.users; user = next++) users[user] = await visitOnce(pool, user);
  };
  await Promise.all(Array.from({ length: job.connections }, visitAll));
  await pool.close();
  return users;
}

async function visitOnce(pool: Pool, user: number): Promise<User> {
  const { statusCode, headers, body } = await pool.request({
    method: "GET",
    path: requestPath(user),
    headers: requestHeaders(user, undefined),
  });
  await body.dump();
  const version = headers["x-version"];
  const cookies = [headers["set-cookie"] ?? []].flat();
  const cookie = cookies[0];
  if (statusCode !== 200 || cookies.length !== 1 || cookie === undefined || typeof version !== "string") {
    throw new Error(`a new user was answered ${statusCode} by ${String(version)} with ${cookies.length} cookies`);
  }
  return { pin: cookie.slice(0, cookie.indexOf(";")), version, byRule: matchesRule(user) };
}

/** A glance at all counters at one moment; two of them bound the window. */
interface Glance {
  readonly atMs: number;
  readonly answers: number;
  readonly proxy: ProcessAccount | undefined;
  readonly loadCoreMs: number;
}

/** A load that is under way: autocannon on so many connections, each going through its own run of requests. */
class Load {
  /** Of every answer so far, in the order they came. */
  readonly latenciesMs: number[] = [];
  readonly #autocannon: autocannon.Instance;
  readonly #ended: Promise<void>;

  constructor(job: LoadJob, users: readonly User[], judge: Judge) {
    const runs = planRequests(users, job.connections);
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
          judge.watch(client, run);
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

async function measure(job: LoadJob): Promise<LoadResult> {
  const users = await learnPins(job);
  const judge = new Judge(users);
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

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
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
