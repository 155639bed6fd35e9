/**
 * `node bench/rollout-cost.ts`: what a running rollout costs the fast lane. One process serves the same users by a split
 * of 90/10 and by a rollout at 10 %, in turns of seconds, so that what the machine does besides meets both.
 */
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Child, killChildrenAtExit, nodeCommand, planPinning } from "./child.ts";
import { describeMachine, machineLine } from "./machine.ts";
import type { RolloutMode, RolloutPlaneAccount, RolloutPlaneListening } from "./rollout-plane.ts";
import type { UpstreamPorts } from "./running-proxy.ts";
import { RawConnection } from "./side-by-side/raw-connection.ts";
import { median } from "./spread.ts";
import { requestHeaders, requestPath } from "./users.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    seconds: { type: "string", default: "2" },
    users: { type: "string", default: "2000" },
    connections: { type: "string", default: "32" },
  },
});
const rounds = Number(values.rounds);
const turnMs = Number(values.seconds) * 1_000;
const users = Number(values.users);
const connections = Number(values.connections);

/** After a change of mode, before a turn is measured. */
const settleMs = 500;

const script = (name: string) => fileURLToPath(new URL(`${name}.ts`, import.meta.url));

/** Requests on all connections without pause, from the list that is set. */
class Load {
  answers = 0;
  wrong = 0;
  #requests: readonly string[] = [];
  #next = 0;
  #stopped = true;
  readonly #all: readonly RawConnection[];
  readonly #idle = new Set<RawConnection>();
  readonly #ready: Promise<unknown>;

  constructor(port: number) {
    const listener = {
      answered: (connection: RawConnection, { status, setsCookie }: { status: number; setsCookie: boolean }) => {
        this.answers += 1;
        if (status !== 200 || setsCookie) this.wrong += 1;
        this.#idle.add(connection);
        this.#sendAll();
      },
      ended: () => {
        throw new Error("the data plane closed a connection");
      },
    };
    this.#all = Array.from({ length: connections }, () => new RawConnection({ port, tls: false }, listener));
    for (const connection of this.#all) this.#idle.add(connection);
    this.#ready = Promise.all(this.#all.map(({ opened }) => opened));
  }

  async run(requests: readonly string[], ms: number): Promise<void> {
    await this.#ready;
    this.#requests = requests;
    this.#stopped = false;
    this.#sendAll();
    await delay(ms);
    this.#stopped = true;
    while (this.#idle.size < connections) await delay(1);
  }

  close(): void {
    for (const connection of this.#all) connection.close();
  }

  #sendAll(): void {
    if (this.#stopped) return;
    for (const connection of this.#idle) {
      const request = this.#requests[this.#next++ % this.#requests.length];
      if (request === undefined) return;
      this.#idle.delete(connection);
      connection.send(request, undefined);
    }
  }
}

function headOf(user: number, pin: string | undefined): string {
  const fields = Object.entries(requestHeaders(user, pin)).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${requestPath(user)} HTTP/1.1\r\nhost: shop.example\r\n${fields.join("")}\r\n`;
}

/** Each user's request with the pin that the mode gives. */
async function requestsOf(port: number): Promise<readonly string[]> {
  const requests: string[] = [];
  for (let user = 0; user < users; user++) {
    const response = await fetch(`http://127.0.0.1:${port}${requestPath(user)}`);
    await response.arrayBuffer();
    requests.push(headOf(user, response.headers.getSetCookie()[0]?.replace(/;.*/, "")));
  }
  return requests;
}

async function measure(): Promise<void> {
  const pinning = planPinning();
  console.log(`${machineLine(describeMachine())}; ${pinning.description}`);
  const upstream = new Child({ command: nodeCommand(script("upstream")), cpu: pinning.loadCpu, messages: true });
  const { stablePort, canaryPort } = await upstream.nextMessage<UpstreamPorts>();
  const plane = new Child({
    command: nodeCommand(script("rollout-plane")),
    cpu: pinning.proxyCpu,
    messages: true,
    env: { BENCH_STABLE_PORT: String(stablePort), BENCH_CANARY_PORT: String(canaryPort) },
  });
  const { port } = await plane.nextMessage<RolloutPlaneListening>();
  const tell = (mode: RolloutMode | undefined): Promise<RolloutPlaneAccount> => {
    const account = plane.nextMessage<RolloutPlaneAccount>();
    plane.send(mode === undefined ? {} : { mode });
    return account;
  };
  const modes: readonly RolloutMode[] = ["split", "rollout"];
  const requests = new Map<RolloutMode, readonly string[]>();
  for (const mode of modes) {
    await tell(mode);
    requests.set(mode, await requestsOf(port));
  }
  const load = new Load(port);
  const turn = async (mode: RolloutMode, ms: number): Promise<number> => {
    await tell(mode);
    // Meanwhile every user is seen twice, and is known.
    await load.run(requests.get(mode) ?? [], settleMs);
    const before = await tell(undefined);
    const answersBefore = load.answers;
    await load.run(requests.get(mode) ?? [], ms);
    const after = await tell(undefined);
    return ((after.cpuMs - before.cpuMs) * 1_000) / (load.answers - answersBefore);
  };
  for (const mode of [...modes, ...modes]) await turn(mode, turnMs);
  const figures = new Map<RolloutMode, number[]>(modes.map((mode) => [mode, []]));
  const differences: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? modes : modes.toReversed();
    for (const mode of order) figures.get(mode)?.push(await turn(mode, turnMs));
    differences.push((figures.get("rollout")?.at(-1) ?? 0) - (figures.get("split")?.at(-1) ?? 0));
  }
  const { sightings } = await tell(undefined);
  for (const mode of modes) {
    const all = figures.get(mode) ?? [];
    console.log(`${mode}: median ${micros(median(all))}, least ${micros(Math.min(...all))} CPU per request`);
  }
  console.log(`difference of neighbouring turns: median ${micros(median(differences))}`);
  console.log(`${load.answers} answers, ${load.wrong} wrong; ${sightings} sightings`);
  if (load.wrong > 0) throw new Error("some answers were wrong: a pin was replaced or a request failed");
  load.close();
  await Promise.all([plane.stop(), upstream.stop()]);
}

const micros = (value: number | undefined): string => `${(value ?? Number.NaN).toFixed(2)} µs`;

killChildrenAtExit();
await measure();
process.exit(0);
