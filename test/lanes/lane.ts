import { readFile } from "node:fs/promises";
import net, { type Socket } from "node:net";
import tls from "node:tls";
import { Bell, turn } from "../kit/bell.ts";
import { startPerch, type TestPerch } from "../kit/perch.ts";
import { certificateYaml, certPem } from "../kit/pki.ts";
import { type Answer, type Director, RecordingUpstream } from "../kit/recording-upstream.ts";
import type { StrictMessage } from "../kit/strict-bytes.ts";
import { readStrictResponse } from "../kit/strict-response.ts";
import { type RawUpstream, startRawUpstream } from "../kit/upstream.ts";
import { type ClientStep, type LaneCase, sized } from "./lane-case.ts";
import { change, handOvers, readSeries, type Series } from "./metrics-text.ts";
import { type ClientView, normalised, render } from "./view.ts";

/** Origins that a configuration names. */
export interface Origins {
  readonly stable: string;
  readonly canary: string;
  /** Nothing listens there. */
  readonly refused: string;
}

/** The configuration of a lane, without listeners, `fastLane`, and the route of the suite's own fences. */
export interface LaneConfig {
  readonly top: string;
  readonly services: string;
  readonly routes: string;
  /** The transport of all clients. Default: tcp. */
  readonly transport?: "tcp" | "tls";
}

const tlsListener = `{ name: web, address: "127.0.0.1:0", tls: { certificates: [${certificateYaml("shop")}] } }`;

/** A connection to Perch, and the TCP connection below TLS. */
interface Opened {
  readonly socket: Socket;
  readonly below: Socket;
}

function open(port: number, transport: LaneConfig["transport"], opened: () => void): Opened {
  const below = net.connect({ port, host: "127.0.0.1", noDelay: true }, transport === "tls" ? undefined : opened);
  if (transport !== "tls") return { socket: below, below };
  return {
    socket: tls.connect({ socket: below, ca: certPem("authority"), servername: "shop.example" }, opened),
    below,
  };
}

/** What was seen of a case in one lane. */
export interface LaneRun {
  readonly view: string;
  readonly metrics: string;
  readonly handOvers: number;
  /** Steps whose wait timed out. */
  readonly overdue: readonly string[];
}

/** Longer than any timeout that a case configures. */
const waitMs = 6_000;
const maxRounds = 200;

/** One Perch with its own upstreams, through which cases are sent one at a time. */
export class Lane {
  readonly bell = new Bell();
  readonly #perch: TestPerch;
  readonly #fence: Fence;
  readonly #upstreams: ReadonlyMap<string, RecordingUpstream>;
  readonly #logPath: string;
  #series: Series = new Map();
  #case: LaneCase | undefined;
  #arrivals = 0;
  #clients: CaseClient[] = [];
  readonly #ports = new Map<number, string>();
  readonly #transport: LaneConfig["transport"];

  private constructor(parts: LaneParts, perch: TestPerch, fence: Fence, logPath: string) {
    this.#perch = perch;
    this.#transport = parts.transport;
    this.#fence = fence;
    this.#logPath = logPath;
    this.#upstreams = parts.upstreams;
    parts.director.lane = this;
    for (const [name, upstream] of parts.upstreams) this.#ports.set(upstream.port, `<${name}>`);
    this.#ports.set(perch.port, "<perch>");
    this.#ports.set(Number(new URL(parts.refused).port), "<refused>");
  }

  static async start(
    fastLane: "on" | "off",
    configure: (origins: Origins) => LaneConfig,
    logPath: string,
    refused: string,
  ) {
    const director = new LaneDirector();
    const stable = await RecordingUpstream.start(director.named("stable"));
    const canary = await RecordingUpstream.start(director.named("canary"));
    const upstreams = new Map([["stable", stable] as const, ["canary", canary] as const]);
    const fenceUpstream = await startRawUpstream((socket, received) => {
      if (received.endsWith("\r\n\r\n")) socket.write(sized("fence"));
    });
    const config = configure({ stable: stable.origin, canary: canary.origin, refused });
    const yaml = `fastLane: ${fastLane}
${config.top}
services:
  fence: { versions: { only: { endpoints: ["${fenceUpstream.origin}"] } } }
${config.services}
routes:
  - { name: fence, match: { path: { prefix: /fence } }, service: fence }
${config.routes}
`;
    const { transport } = config;
    const listeners = transport === "tls" ? { listeners: tlsListener } : {};
    const perch = await startPerch(yaml, { accessLogTo: logPath, ...listeners });
    const fence = new Fence(perch.port, transport, fenceUpstream);
    const lane = new Lane({ director, upstreams, refused, transport }, perch, fence, logPath);
    director.bell = lane.bell;
    lane.#series = await lane.#scrape();
    return lane;
  }

  /** Sends a case through this lane and returns what both sides of Perch received, with metrics if `counting`. */
  async run(laneCase: LaneCase, index: number, counting: "counted" | "uncounted"): Promise<LaneRun> {
    this.#case = laneCase;
    this.#arrivals = 0;
    await this.#fence.pass(String(index));
    const overdue = await this.#play(laneCase);
    await this.#quiet(2);
    const clients = this.#clients.map((client) => client.view());
    for (const client of this.#clients) client.socket.destroy();
    await this.#quiet(1);
    const connections = new Map([...this.#upstreams].map(([name, upstream]) => [name, upstream.connections] as const));
    const view = render(laneCase, clients, connections, { ports: this.#ports });
    this.#case = undefined;
    this.#clients = [];
    for (const upstream of this.#upstreams.values()) upstream.reset();
    if (counting === "uncounted") return { view, metrics: "", handOvers: 0, overdue };
    const before = this.#series;
    this.#series = await this.#scrape();
    const metrics = change(before, this.#series).join("\n");
    return {
      view,
      metrics: normalised(laneCase.lingers ? metrics.replace(/code="4\d\d"/g, 'code="4xx"') : metrics, {
        ports: this.#ports,
      }),
      handOvers: handOvers(this.#series) - handOvers(before),
      overdue,
    };
  }

  /** Stops everything; the access log's lines by case. */
  async stop(): Promise<ReadonlyMap<number, string>> {
    await this.#fence.close();
    await this.#perch.stop();
    for (const upstream of this.#upstreams.values()) await upstream.close();
    return linesByCase(await readFile(this.#logPath, "latin1"), this.#ports);
  }

  answer(upstream: string, request: StrictMessage): { answer: Answer; arrival: number } {
    const arrival = this.#arrivals++;
    return { arrival, answer: this.#answer(upstream, request, this.#case?.upstream?.[arrival]) };
  }

  #answer(upstream: string, request: StrictMessage, scripted: string | Answer | undefined): Answer {
    if (typeof scripted === "object") return scripted;
    const body = `hello from ${upstream}`;
    const bodiless = request.startLine.startsWith("HEAD ");
    const ordinary = sized(body, "X-Upstream: yes\r\n");
    return { steps: [{ send: scripted ?? (bodiless ? ordinary.slice(0, -body.length) : ordinary) }] };
  }

  clientHas(text: string): boolean {
    return this.#clients.some((client) => client.bytes.includes(text));
  }

  async #play(laneCase: LaneCase): Promise<string[]> {
    const { client: script } = laneCase;
    const steps: readonly ClientStep[] = typeof script === "string" ? [{ send: script }] : script;
    const overdue: string[] = [];
    let client = await this.#connect(laneCase);
    for (const step of steps) {
      if ("do" in step && step.do === "reconnect") client = await this.#connect(laneCase);
      else if (!(await this.#step(step, client))) overdue.push(JSON.stringify(step));
    }
    return overdue;
  }

  async #connect(laneCase: LaneCase): Promise<CaseClient> {
    const client = await CaseClient.connect(this.#perch.port, this.#transport, this.bell, laneCase);
    this.#clients.push(client);
    return client;
  }

  /** False where the wait timed out. */
  async #step(step: ClientStep, client: CaseClient): Promise<boolean> {
    const until = (condition: () => boolean) => this.bell.until(() => client.isClosed || condition(), waitMs);
    if ("send" in step) {
      client.socket.write(step.send, "latin1");
      await turn();
      return true;
    }
    if ("responses" in step) return until(() => client.finalResponses() >= step.responses);
    if ("received" in step) return until(() => client.bytes.includes(step.received));
    if ("upstreamHas" in step) return until(() => this.#upstreamHas(step.upstreamHas));
    if ("closed" in step) return until(() => false);
    if ("quiet" in step) return this.#quiet(2);
    if (step.do === "end") client.socket.end();
    else if (step.do === "reset") client.below.resetAndDestroy();
    await turn();
    return true;
  }

  #upstreamHas(text: string): boolean {
    return [...this.#upstreams.values()].some(({ connections }) =>
      connections.some(({ bytes }) => bytes.includes(text)),
    );
  }

  /**
   * Waits until no event happens any more. The suite's own requests pass through Perch, whose event loop is this
   * process's: what was on its way when one began has arrived when it ends, and its effects arrive with the next. Ends
   * after `rounds` of them without an event.
   */
  async #quiet(rounds: number): Promise<boolean> {
    let still = 0;
    for (let round = 0; round < maxRounds; round++) {
      const { rings } = this.bell;
      await this.#fence.pass("-");
      await turn();
      still = this.bell.rings === rings ? still + 1 : 0;
      if (still === rounds) return true;
    }
    return false;
  }

  async #scrape(): Promise<Series> {
    return readSeries(await (await this.#perch.admin("/metrics")).text());
  }
}

interface LaneParts {
  readonly director: LaneDirector;
  readonly upstreams: ReadonlyMap<string, RecordingUpstream>;
  readonly refused: string;
  readonly transport: LaneConfig["transport"];
}

/** Between the upstreams, which start first, and the lane that directs them. */
class LaneDirector {
  lane: Lane | undefined;
  bell = new Bell();

  named(upstream: string): Director {
    const bell = () => this.lane?.bell ?? this.bell;
    return {
      get bell() {
        return bell();
      },
      answer: (request) => this.lane?.answer(upstream, request) ?? { answer: { steps: [] }, arrival: 0 },
      clientHas: (text) => this.lane?.clientHas(text) ?? false,
      waitMs,
    };
  }
}

/** A client of a case: one connection. */
class CaseClient {
  readonly socket: Socket;
  /** The TCP connection below TLS; else the same socket. */
  readonly below: Socket;
  bytes = "";
  isClosed = false;
  readonly #laneCase: LaneCase;
  #readTo = 0;
  #final = 0;

  private constructor({ socket, below }: Opened, bell: Bell, laneCase: LaneCase) {
    this.socket = socket;
    this.below = below;
    this.#laneCase = laneCase;
    socket.setEncoding("latin1");
    socket.on("data", (bytes: string) => {
      this.bytes += bytes;
      bell.ring();
    });
    const onClosed = () => {
      this.isClosed = true;
      bell.ring();
    };
    socket.on("error", () => {});
    socket.on("end", onClosed).on("close", onClosed);
  }

  static async connect(
    port: number,
    transport: LaneConfig["transport"],
    bell: Bell,
    laneCase: LaneCase,
  ): Promise<CaseClient> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const opened = open(port, transport, resolve);
    opened.socket.once("error", reject);
    await promise;
    return new CaseClient(opened, bell, laneCase);
  }

  /** The number of complete final responses so far. */
  finalResponses(): number {
    const { methods } = this.#laneCase;
    while (this.#readTo < this.bytes.length) {
      const reading = readStrictResponse(this.bytes, this.#readTo, methods?.[this.#final] ?? methods?.at(-1) ?? "GET");
      if (reading.kind !== "complete") break;
      this.#readTo = reading.end;
      if (!reading.message.startLine.startsWith("HTTP/1.1 1")) this.#final++;
    }
    return this.#final;
  }

  view(): ClientView {
    return { bytes: this.bytes, state: this.isClosed ? "closed" : "open" };
  }
}

/** A persistent connection through Perch to an upstream of its own. */
class Fence {
  readonly #port: number;
  readonly #transport: LaneConfig["transport"];
  readonly #upstream: RawUpstream;
  #socket: Socket | undefined;
  #passed: (() => void) | undefined;

  constructor(port: number, transport: LaneConfig["transport"], upstream: RawUpstream) {
    this.#port = port;
    this.#transport = transport;
    this.#upstream = upstream;
  }

  /** Resolves once a request with this mark has a response. */
  pass(mark: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#passed = resolve;
    this.#socket ??= this.#open();
    this.#socket.write(`GET /fence/${mark} HTTP/1.1\r\nHost: fence\r\n\r\n`);
    return promise;
  }

  #open(): Socket {
    const { socket } = open(this.#port, this.#transport, () => {});
    let received = "";
    socket.setEncoding("latin1").on("data", (bytes: string) => {
      received += bytes;
      if (!received.endsWith("\r\n\r\nfence")) return;
      received = "";
      this.#passed?.();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#socket = undefined;
    });
    return socket;
  }

  async close(): Promise<void> {
    this.#socket?.destroy();
    await this.#upstream.close();
  }
}

/** Log lines between two fences, without times, in order. */
function linesByCase(text: string, ports: ReadonlyMap<number, string>): ReadonlyMap<number, string> {
  const byCase = new Map<number, string>();
  let index = -1;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const entry = JSON.parse(line) as Record<string, unknown>;
    if (entry["route"] === "fence") {
      const mark = String(entry["path"]).slice("/fence/".length);
      if (mark !== "-") index = Number(mark);
      continue;
    }
    for (const timed of ["time", "durationMs", "ttfbMs"]) if (timed in entry) entry[timed] = "<ms>";
    // Anonymous ones are random.
    if ("unit" in entry) entry["unit"] = "<unit>";
    byCase.set(index, `${byCase.get(index) ?? ""}${normalised(JSON.stringify(entry), { ports })}\n`);
  }
  return byCase;
}
