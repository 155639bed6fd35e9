/**
 * `node bench/reload-cost.ts`: how long requests wait because of a reload. One Perch with one worker, a few requests at a
 * fixed rate, and a file whose routes change: one of them, or all.
 */
import { once } from "node:events";
import { renameSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Child, killChildrenAtExit, nodeCommand, planPinning } from "./child.ts";
import { describeMachine, machineLine } from "./machine.ts";
import type { ReloadPlaneListening, ReloadPlaneWindow, ReloadWindow } from "./reload-plane.ts";
import type { UpstreamPorts } from "./running-proxy.ts";
import { makeScratchDirectory } from "./scratch-directory.ts";
import { figure, formatTable } from "./table.ts";

const { values } = parseArgs({
  options: {
    routes: { type: "string", default: "1000,3000,10000" },
    rounds: { type: "string", default: "5" },
    workers: { type: "string", default: "1" },
  },
});
const sizes = values.routes.split(",").map(Number);
const rounds = Number(values.rounds);

const connections = 8;
/** Between two requests of a connection: it tells how long a request waits, not how many are served. */
const paceMs = 4;
const quietMs = 2_000;
const startMs = 120_000;
/** Waited for after a reload by `reload-plane.ts`. */
const liveLookMs = 1_100;

type Change = "one route" | "all routes";

/** Ten routes share a service, a hundred a release. `generation` changes the routes. */
function configText(
  routes: number,
  { stablePort, canaryPort }: UpstreamPorts,
  generation: number,
  change: Change,
): string {
  const several = (count: number, line: (index: number) => string) =>
    Array.from({ length: count }, (_, at) => line(at));
  const timeout = (index: number) => (change === "all routes" || index === 0 ? 20 + (generation % 20) : 20);
  const endpoints = (port: number) => `{ endpoints: ["http://127.0.0.1:${port}"] }`;
  return [
    'listeners: [{ name: web, address: "127.0.0.1:0" }]',
    'admin: { address: "127.0.0.1:0" }',
    `workers: ${values.workers}`,
    "accessLog: { sample: 0 }",
    "attributes: { userId: { type: string, from: [{ header: x-user-id }] } }",
    "services:",
    ...several(Math.ceil(routes / 10), (index) =>
      [
        `  service-${index}:`,
        "    versions:",
        `      stable: ${endpoints(stablePort)}`,
        `      canary: ${endpoints(canaryPort)}`,
      ].join("\n"),
    ),
    "releases:",
    ...several(Math.ceil(routes / 100), (index) =>
      [
        `  release-${index}:`,
        `    sticky: { cookie: { name: pin-${index} } }`,
        `    rules: [{ name: staff, when: { userId: { prefix: staff-${index}- } }, use: canary }]`,
        "    split: { stable: 90, canary: 10 }",
      ].join("\n"),
    ),
    "routes:",
    ...several(routes, (index) =>
      [
        `  - name: route-${index}`,
        `    match: { hosts: [shop-${index % 500}.example.com], path: { prefix: /service-${index}/api } }`,
        `    service: service-${Math.floor(index / 10)}`,
        ...(index % 2 === 0 ? [] : [`    release: release-${Math.floor(index / 100)}`]),
        `    timeouts: { total: ${timeout(index)}s }`,
      ].join("\n"),
    ),
    "",
  ].join("\n");
}

/** Requests at a fixed rate over several connections, of which each waits for its answer. */
class PacedRequests {
  wrong = 0;
  longestMs = 0;
  readonly #port: number;
  readonly #runs: readonly Promise<void>[];
  #isOver = false;

  constructor(port: number) {
    this.#port = port;
    this.#runs = Array.from({ length: connections }, (_, index) => this.#run(index));
  }

  /** The longest wait since the last call. */
  take(): number {
    const longest = this.longestMs;
    this.longestMs = 0;
    return longest;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#runs);
  }

  async #run(index: number): Promise<void> {
    const socket = connect(this.#port, "127.0.0.1").setNoDelay(true).setEncoding("latin1");
    await once(socket, "connect");
    const head = `GET /service-${index}/api/x HTTP/1.1\r\nhost: shop-${index}.example.com\r\n\r\n`;
    while (!this.#isOver) {
      const beganMs = performance.now();
      if (!(await answered(socket, head)).startsWith("HTTP/1.1 200 ")) this.wrong++;
      this.longestMs = Math.max(this.longestMs, performance.now() - beganMs);
      await delay(paceMs);
    }
    socket.destroy();
  }
}

/** The answer's first part: the upstreams' answers fit into one. */
async function answered(socket: Socket, head: string): Promise<string> {
  socket.write(head);
  const [chunk] = await once(socket, "data");
  return String(chunk);
}

interface Window extends ReloadPlaneWindow {
  readonly waitMs: number;
}

interface Measured {
  readonly quiet: Window[];
  readonly reload: (Window & { readonly tookMs: number })[];
}

async function measure(
  routes: number,
  change: Change,
  ports: UpstreamPorts,
  cpu: number | undefined,
): Promise<Measured> {
  const file = join(makeScratchDirectory(), "perch.yaml");
  const texts = Array.from({ length: rounds + 2 }, (_, generation) => configText(routes, ports, generation, change));
  writeFileSync(file, texts[0] ?? "");
  const script = fileURLToPath(new URL("reload-plane.ts", import.meta.url));
  const plane = new Child({ command: nodeCommand(script), cpu, messages: true, env: { BENCH_CONFIG: file } });
  const { port } = await plane.nextMessage<ReloadPlaneListening>(startMs);
  const requests = new PacedRequests(port);
  const window = async (ends: ReloadWindow["ends"]) => {
    const told = plane.nextMessage<ReloadPlaneWindow>(startMs);
    plane.send({ ends } satisfies ReloadWindow);
    return { ...(await told), waitMs: requests.take() };
  };
  const measured: Measured = { quiet: [], reload: [] };
  for (const [round, text] of texts.slice(1).entries()) {
    await window("now");
    await delay(quietMs);
    const quiet = await window("now");
    writeFileSync(`${file}.next`, text);
    const beganMs = performance.now();
    renameSync(`${file}.next`, file);
    const reload = await window("with-reload");
    // The first one warms up.
    if (round === 0) continue;
    measured.quiet.push(quiet);
    measured.reload.push({ ...reload, tookMs: performance.now() - beganMs - liveLookMs });
  }
  await requests.stop();
  if (requests.wrong > 0) throw new Error(`${requests.wrong} requests failed`);
  await plane.stop();
  return measured;
}

const median = (all: readonly number[]): number =>
  all.toSorted((one, other) => one - other)[all.length >> 1] ?? Number.NaN;
const medianAndMost = (all: readonly number[]): string => `${figure(median(all), 1)} (${figure(Math.max(...all), 1)})`;

killChildrenAtExit();
const pinning = planPinning();
console.log(`${machineLine(describeMachine())}; ${rounds} reloads each, medians and in brackets the most, in ms`);
const upstream = new Child({
  command: nodeCommand(fileURLToPath(new URL("upstream.ts", import.meta.url))),
  cpu: pinning.loadCpu,
  messages: true,
});
const ports = await upstream.nextMessage<UpstreamPorts>();
const rows: string[][] = [];
for (const routes of sizes) {
  for (const change of ["one route", "all routes"] as const) {
    // Not pinned: the thread that loads has the other core.
    const { quiet, reload } = await measure(routes, change, ports, undefined);
    const cells = (windows: readonly Window[]) => [
      medianAndMost(windows.map(({ cpuMs }) => cpuMs)),
      medianAndMost(windows.map(({ pauseMs }) => pauseMs)),
      medianAndMost(windows.map(({ waitMs }) => waitMs)),
    ];
    rows.push([`${routes}, without a reload`, ...cells(quiet)]);
    const took = medianAndMost(reload.map(({ tookMs }) => tookMs));
    rows.push([`${routes}, ${change} changed`, ...cells(reload), took]);
  }
}
const header = ["routes", "longest turn, CPU", "longest pause", "longest wait", "reload took"];
console.log(formatTable(header, rows));
await upstream.stop();
process.exit(0);
