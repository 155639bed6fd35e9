/**
 * Requests at a fixed rate on average. Each has a start time, from which its latency counts to the end of its response,
 * whether or not a connection was free: a stalled proxy delays all waiting requests, where a load that waits for
 * responses would just send less (coordinated omission).
 *
 * Requests start at random, as those of many independent users do: the intervals are exponential. Where all clients
 * start in phase, a percentile tells how long a burst takes and little else.
 *
 * The clock is polled without sleeping, since the resolution of timers is a millisecond, more than the measured times,
 * and so that no proxy pays for waking the load. If possible this process has the lowest priority, so the upstreams on
 * the same CPU do not wait for it.
 */
import { Judge } from "../judge.ts";
import { seededNumbers } from "../judging/seeded-numbers.ts";
import { tellParent } from "../parent.ts";
import { quantile } from "../spread.ts";
import { openConnections } from "./connections.ts";
import type { GeneratorMessage, OpenLoopJob, OpenLoopResult } from "./generator-jobs.ts";
import type { RawConnection } from "./raw-connection.ts";
import { type RecordedRequest, readRequestFile } from "./request-file.ts";

/** The queue length at which the rate is over the proxy's capacity. */
const backlogLimitMs = 1_000;
const lastAnswersMs = 5_000;
const seed = 1;

interface Started {
  readonly request: RecordedRequest;
  readonly dueMs: number;
}

export async function runOpenLoop(job: OpenLoopJob): Promise<OpenLoopResult> {
  const loop = new OpenLoop(job);
  await loop.open();
  return loop.run();
}

class OpenLoop {
  readonly #job: OpenLoopJob;
  readonly #requests: readonly RecordedRequest[];
  readonly #body: Buffer | undefined;
  readonly #judge: Judge;
  readonly #underWay = new Map<RawConnection, Started>();
  /** Used in turn, the longest idle first, as many clients would. */
  readonly #free: RawConnection[] = [];
  readonly #latenciesMs: number[] = [];
  /** The lateness of requests that did not wait for a connection: this process's own part of the latencies. */
  readonly #ownDelaysMs: number[] = [];
  readonly #random = seededNumbers(seed);
  /** When the next request is due, since the start. */
  #nextDueMs = 0;
  #waiting = false;
  #connections: readonly RawConnection[] = [];
  #startMs = 0;
  #sent = 0;

  constructor(job: OpenLoopJob) {
    this.#job = job;
    this.#requests = readRequestFile(job.requestFile);
    this.#body = job.uploadBytes === 0 ? undefined : Buffer.alloc(job.uploadBytes, "x");
    this.#judge = new Judge([], job.bodyBytes);
  }

  async open(): Promise<void> {
    this.#connections = await openConnections(this.#job, {
      answered: (connection, answer) => {
        const started = this.#underWay.get(connection);
        this.#underWay.delete(connection);
        this.#free.push(connection);
        if (started === undefined) return;
        this.#judge.judge(started.request.wanted, answer);
        if (started.dueMs >= this.#job.warmUpMs) {
          this.#latenciesMs.push(performance.now() - this.#startMs - started.dueMs);
        }
      },
      ended: (connection) => {
        this.#judge.connectionFailed();
        this.#underWay.delete(connection);
      },
    });
    this.#free.push(...this.#connections);
  }

  async run(): Promise<OpenLoopResult> {
    const { warmUpMs, measureMs } = this.#job;
    const endMs = warmUpMs + measureMs;
    tellParent({ kind: "started" } satisfies GeneratorMessage);
    this.#startMs = performance.now();
    let overloaded = false;
    while (this.#nextDueMs < endMs || this.#underWay.size > 0) {
      const nowMs = performance.now() - this.#startMs;
      const untilMs = Math.min(nowMs, endMs);
      while (this.#nextDueMs < untilMs && this.#sendNext(nowMs));
      overloaded = untilMs - this.#nextDueMs > backlogLimitMs || nowMs > endMs + lastAnswersMs;
      if (overloaded) break;
      await nextLoopTurn();
    }
    for (const connection of this.#connections) connection.close();
    const sorted = Float64Array.from(this.#latenciesMs).sort();
    return {
      answers: sorted.length,
      overloaded,
      p50Ms: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
      p999Ms: quantile(sorted, 0.999),
      ownDelayP99Ms:
        this.#ownDelaysMs.length === 0 ? undefined : quantile(Float64Array.from(this.#ownDelaysMs).sort(), 0.99),
      verdict: this.#judge.verdict(),
    };
  }

  /** False where all connections are busy. */
  #sendNext(nowMs: number): boolean {
    const connection = this.#free.shift();
    const request = this.#requests[this.#sent % this.#requests.length];
    if (connection === undefined || request === undefined) {
      this.#waiting = true;
      return false;
    }
    const dueMs = this.#nextDueMs;
    if (!this.#waiting && dueMs >= this.#job.warmUpMs) this.#ownDelaysMs.push(nowMs - dueMs);
    this.#underWay.set(connection, { request, dueMs });
    this.#sent += 1;
    this.#nextDueMs += (-Math.log(1 - this.#random()) * 1000) / this.#job.requestsPerSecond;
    this.#waiting &&= this.#nextDueMs < nowMs;
    connection.send(request.head, this.#body);
    return true;
  }
}

function nextLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
