/**
 * `node bench/start-cost.ts`: what the first seconds of a process cost. Perch is started again and again; the latencies
 * of the first seconds after `/readyz` are compared with those of the same process once it is warm.
 */
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Child, isInstalled, killChildrenAtExit, nodeCommand, planPinning } from "./child.ts";
import { startGateway } from "./gateway.ts";
import { complaints, Judge } from "./judge.ts";
import { learnPins } from "./learn-pins.ts";
import { busyWarning, describeMachine, machineLine } from "./machine.ts";
import { pages } from "./pages.ts";
import { readProcessAccount } from "./process-account.ts";
import { plainSituation, type RunningProxy, type StartOptions, type UpstreamPorts } from "./running-proxy.ts";
import { makeScratchDirectory } from "./scratch-directory.ts";
import { openConnections } from "./side-by-side/connections.ts";
import type { RawConnection } from "./side-by-side/raw-connection.ts";
import { type RecordedRequest, readRequestFile, writeRequestFile } from "./side-by-side/request-file.ts";
import { median, quantile } from "./spread.ts";
import { figure, formatTable } from "./table.ts";

const { values } = parseArgs({
  options: {
    perch: { type: "string", multiple: true },
    built: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "10" },
    rate: { type: "string", default: "400" },
    users: { type: "string", default: "2000" },
    connections: { type: "string", default: "64" },
  },
});
const checkouts = values.perch ?? [fileURLToPath(new URL("../", import.meta.url))];
const rounds = Number(values.rounds);
const windowMs = Number(values.seconds) * 1_000;
const requestsPerSecond = Number(values.rate);
const users = Number(values.users);
const connections = Number(values.connections);

/** Between the two windows, so that the second one finds the process warm. */
const warmUp = { ms: 5_000, timesTheRate: 4 };

interface Start {
  /** From the start of the process to the first 200 of `/readyz`, which is asked every 25 ms. */
  readonly readyMs: number;
  readonly first: Latencies;
  readonly warm: Latencies;
}

interface Latencies {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Of the whole process, in microseconds per request; NaN where the system does not tell. */
  readonly cpuUs: number;
}

/** Requests on connections that stay open, one at a time on each; their starts are spread as those of many clients. */
class SpreadLoad {
  readonly #requests: readonly RecordedRequest[];
  readonly #judge = new Judge([], pages[0].bodyBytes);
  readonly #free: RawConnection[] = [];
  readonly #underWay = new Map<RawConnection, { readonly request: RecordedRequest; readonly sinceMs: number }>();
  #connections: readonly RawConnection[] = [];
  #latenciesMs: number[] = [];
  #next = 0;
  /** A request is due, and all connections are busy. */
  #isWaiting = false;

  constructor(requests: readonly RecordedRequest[]) {
    this.#requests = requests;
  }

  async open(port: number): Promise<void> {
    this.#connections = await openConnections(
      { port, tls: false, connections },
      {
        answered: (connection, answer) => {
          const sent = this.#underWay.get(connection);
          this.#underWay.delete(connection);
          this.#free.push(connection);
          if (sent === undefined) return;
          this.#latenciesMs.push(performance.now() - sent.sinceMs);
          this.#judge.judge(sent.request.wanted, answer);
        },
        ended: () => this.#judge.connectionFailed(),
      },
    );
    this.#free.push(...this.#connections);
  }

  /**
   * A latency counts from the time that the request was sent, so that a late load is not taken for a slow proxy; if it had
   * to wait for a connection, from the time that it was due.
   */
  async run({ pid }: RunningProxy, ms: number, rate: number): Promise<Latencies> {
    this.#latenciesMs = [];
    this.#isWaiting = false;
    const cpuBeforeMs = readProcessAccount(pid)?.cpuMs ?? Number.NaN;
    const endMs = performance.now() + ms;
    let dueMs = performance.now();
    while (dueMs < endMs || this.#underWay.size > 0) {
      const nowMs = performance.now();
      if (nowMs > endMs + 5_000) throw new Error("some requests were not answered");
      while (dueMs <= nowMs && dueMs < endMs && this.#sendNext(dueMs)) {
        // Times between independent arrivals are distributed exponentially.
        dueMs += (-Math.log(1 - Math.random()) * 1_000) / rate;
      }
      // Timers are late by a millisecond, more than what is measured: only a longer wait may use one.
      await (dueMs - nowMs > 3 ? delay(1) : nextLoopTurn());
    }
    const cpuMs = (readProcessAccount(pid)?.cpuMs ?? Number.NaN) - cpuBeforeMs;
    const sorted = Float64Array.from(this.#latenciesMs).sort();
    const [p50Ms, p99Ms, maxMs] = [quantile(sorted, 0.5), quantile(sorted, 0.99), sorted.at(-1) ?? Number.NaN];
    return { p50Ms, p99Ms, maxMs, cpuUs: (cpuMs * 1_000) / sorted.length };
  }

  /** Throws if any answer was wrong. */
  close(): void {
    for (const connection of this.#connections) connection.close();
    const faults = complaints(this.#judge.verdict());
    if (faults.length > 0) throw new Error(faults.join("; "));
  }

  /** False where all connections are busy. */
  #sendNext(dueMs: number): boolean {
    const connection = this.#free.shift();
    const request = this.#requests[this.#next % this.#requests.length];
    if (connection === undefined || request === undefined) {
      this.#isWaiting = true;
      return false;
    }
    this.#next += 1;
    this.#underWay.set(connection, { request, sinceMs: this.#isWaiting ? dueMs : performance.now() });
    this.#isWaiting = false;
    connection.send(request.head, undefined);
    return true;
  }
}

function nextLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** One checkout, and the users' requests with its pins. */
class Subject {
  readonly name: string;
  readonly starts: Start[] = [];
  readonly #options: StartOptions;
  #requests: readonly RecordedRequest[] = [];

  constructor(checkout: string, options: Omit<StartOptions, "programs">) {
    const program = values.built ? "dist/cli/main.js" : "src/cli/main.ts";
    const gateway = join(resolve(checkout), program);
    this.name = `${checkout} (${program})`;
    this.#options = { ...options, programs: { description: program, gateway, peer: () => "" } };
  }

  /** The users' pins of a process before, and whatever a first start leaves for later ones. */
  async prepare(): Promise<void> {
    const proxy = await this.#start();
    const file = join(makeScratchDirectory(), "requests");
    const learned = await learnPins({ port: proxy.port, users, connections: 16 });
    writeRequestFile(file, learned, { uploadBytes: 0, path: undefined, newOneIn: undefined, trustedCallers: false });
    this.#requests = readRequestFile(file);
    await proxy.stop();
  }

  async measure(): Promise<void> {
    const startedMs = performance.now();
    const proxy = await this.#start();
    const readyMs = performance.now() - startedMs;
    const load = new SpreadLoad(this.#requests);
    await load.open(proxy.port);
    const first = await load.run(proxy, windowMs, requestsPerSecond);
    await load.run(proxy, warmUp.ms, requestsPerSecond * warmUp.timesTheRate);
    const warm = await load.run(proxy, windowMs, requestsPerSecond);
    load.close();
    await proxy.stop();
    this.starts.push({ readyMs, first, warm });
  }

  #start(): Promise<RunningProxy> {
    return startGateway({ accessLogSample: 1, fastLane: undefined }, this.#options);
  }
}

async function measureAll(): Promise<void> {
  const machine = describeMachine();
  const pinning = planPinning();
  console.log(`${machineLine(machine)}; ${pinning.description}`);
  const warning = busyWarning(machine);
  if (warning !== undefined) console.log(warning);
  if (pinning.loadCpu !== undefined && isInstalled("taskset"))
    spawnSync("taskset", ["-a", "-c", "-p", String(pinning.loadCpu), String(process.pid)]);
  const upstream = new Child({
    command: nodeCommand(fileURLToPath(new URL("upstream.ts", import.meta.url))),
    cpu: pinning.loadCpu,
    messages: true,
  });
  const upstreams = await upstream.nextMessage<UpstreamPorts>();
  const options = { ...plainSituation, upstreams, pinning, secret: "s".repeat(32), connections };
  const subjects = checkouts.map((checkout) => new Subject(checkout, options));
  for (const subject of subjects) await subject.prepare();
  for (let round = 0; round < rounds; round++) {
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) await subject.measure();
  }
  for (const { name, starts } of subjects) console.log(`\n${name}\n${startsTable(starts)}`);
  await upstream.stop();
}

function startsTable(starts: readonly Start[]): string {
  const header = [
    "start",
    "ready ms",
    "first p50",
    "p99",
    "max ms",
    "CPU µs",
    "warm p50",
    "p99 ms",
    "CPU µs",
    "p99 first/warm",
  ];
  const rows = starts.map((start, index) => [String(index + 1), ...figures(start).map(shown)]);
  const columns = figures(starts[0]).map((_, column) => median(starts.map((start) => figures(start)[column] ?? NaN)));
  return formatTable(header, [...rows, ["median", ...columns.map(shown)]]);
}

const shown = (value: number | undefined, column: number): string => figure(value, column === 0 ? 0 : 2);

function figures(start: Start | undefined): number[] {
  if (start === undefined) return [];
  const { readyMs, first, warm } = start;
  const { p50Ms, p99Ms, maxMs, cpuUs } = first;
  return [readyMs, p50Ms, p99Ms, maxMs, cpuUs, warm.p50Ms, warm.p99Ms, warm.cpuUs, p99Ms / warm.p99Ms];
}

killChildrenAtExit();
await measureAll();
process.exit(0);
