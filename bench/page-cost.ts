/**
 * `node bench/page-cost.ts`: what open pages of the dashboard cost the fast lane. One Perch with one worker, whose main
 * thread serves both, has no reader, 50 of `/api/live`, and 5 of `/api/decisions` besides, in turns of seconds; then without requests.
 */
import { once } from "node:events";
import { type ClientRequest, get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Child, killChildrenAtExit, nodeCommand, planPinning } from "./child.ts";
import { describeMachine, machineLine } from "./machine.ts";
import type { PagePlaneAccount, PagePlaneListening } from "./page-plane.ts";
import { PinnedLoad, pinnedRequests } from "./pinned-load.ts";
import type { UpstreamPorts } from "./running-proxy.ts";
import { inTurns, turnOptions, turnsText } from "./turns.ts";

const { rounds, turnMs, users, connections } = turnOptions(3);

/** With load, after readers have come or gone: at least one second's events are sent. */
const settleMs = 1_500;
/** Without load there is less that disturbs. */
const idleRounds = 5;
const livePages = 50;
const decisionPages = 5;

const script = (name: string) => fileURLToPath(new URL(`${name}.ts`, import.meta.url));

/** Streams of the admin server whose content is dropped. */
class Readers {
  bytes = 0;
  #open: readonly ClientRequest[] = [];
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  async open(paths: readonly string[]): Promise<void> {
    this.close();
    this.#open = paths.map((path) => get({ host: "127.0.0.1", port: this.#port, path, agent: false }));
    await Promise.all(this.#open.map((request) => this.#follow(request)));
  }

  close(): void {
    for (const request of this.#open) request.destroy();
    this.#open = [];
  }

  async #follow(request: ClientRequest): Promise<void> {
    const [response] = await once(request, "response");
    if (response.statusCode !== 200) throw new Error(`a stream was answered with ${response.statusCode}`);
    response
      .on("error", () => {})
      .on("data", (chunk: Buffer) => {
        this.bytes += chunk.length;
      });
    request
      .on("error", () => {})
      .once("close", () => {
        if (this.#open.includes(request)) throw new Error("the admin server closed a stream");
      });
  }
}

async function measure(): Promise<void> {
  const pinning = planPinning();
  console.log(`${machineLine(describeMachine())}; ${pinning.description}`);
  const upstream = new Child({ command: nodeCommand(script("upstream")), cpu: pinning.loadCpu, messages: true });
  const { stablePort, canaryPort } = await upstream.nextMessage<UpstreamPorts>();
  const plane = new Child({
    command: nodeCommand(script("page-plane")),
    cpu: pinning.proxyCpu,
    messages: true,
    env: { BENCH_STABLE_PORT: String(stablePort), BENCH_CANARY_PORT: String(canaryPort) },
  });
  const { port, adminPort } = await plane.nextMessage<PagePlaneListening>();
  const cpuMs = async (): Promise<number> => {
    const account = plane.nextMessage<PagePlaneAccount>();
    plane.send({});
    return (await account).cpuMs;
  };
  const requests = await pinnedRequests(port, users);
  const load = new PinnedLoad(port, connections);
  const readers = new Readers(adminPort);
  const live = Array<string>(livePages).fill("/api/live");
  const pages = {
    none: [],
    live,
    decisions: [...live, ...Array<string>(decisionPages).fill("/api/decisions")],
  } as const;
  const turn = async (mode: keyof typeof pages, wait: (ms: number) => Promise<void>) => {
    await readers.open(pages[mode]);
    await wait(settleMs);
    const before = { cpuMs: await cpuMs(), answers: load.answers, bytes: readers.bytes };
    await wait(turnMs);
    const usedMs = (await cpuMs()) - before.cpuMs;
    if (mode !== "none" && readers.bytes === before.bytes) throw new Error("nothing was sent to the pages");
    return { usedMs, answers: load.answers - before.answers };
  };
  const modes = ["none", "live", "decisions"] as const;
  const underLoad = await inTurns(modes, rounds, async (mode) => {
    const { usedMs, answers } = await turn(mode, (ms) => load.run(requests, ms));
    return (usedMs * 1_000) / answers;
  });
  load.close();
  console.log(turnsText(underLoad, "µs of CPU a request"));
  const idle = await inTurns(modes, idleRounds, async (mode) => {
    const { usedMs } = await turn(mode, delay);
    return (usedMs * 1_000) / turnMs;
  });
  console.log(`without requests\n${turnsText(idle, "ms of CPU a second")}`);
  readers.close();
  console.log(`${load.answers} answers, ${load.wrong} wrong; ${readers.bytes} bytes to pages`);
  if (load.wrong > 0) throw new Error("some answers were wrong: a pin was replaced or a request failed");
  await Promise.all([plane.stop(), upstream.stop()]);
}

killChildrenAtExit();
await measure();
process.exit(0);
