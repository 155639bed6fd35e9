import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { CompiledConfig } from "../config/compiled-config.ts";
import { loadConfigText } from "../config/load.ts";
import type { LineDestination } from "../observe/access-log.ts";
import { createLogger, type Logger } from "../observe/log.ts";
import { StatsRegistry } from "../observe/stats-registry.ts";
import type { WarmUpSpec } from "../workers/messages.ts";
import { InProcessDataPlane } from "./in-process-data-plane.ts";
import { answerAll, sendAll } from "./warm-up-traffic.ts";

export const defaultWarmUp: WarmUpSpec = { host: "127.0.0.1", limitMs: 2_000 };

/**
 * After so many, which take 0.3 to 0.7 s of CPU time, a request costs at most half as much again as in a warm process;
 * without any, the first hundreds cost five times as much. Twice as many change little.
 */
const enoughRequests = 3_000;
/** Requests under way at once. */
const clientCount = 8;

/**
 * Sends requests through a separate data plane, so that V8 compiles the request path with the types that it will
 * see: otherwise the first thousands of users wait for that. Nothing is counted, logged or left open. Never rejects,
 * since a cold process serves too, only more slowly. `accessLines`: of the class that takes the lines of
 * requests later, but leads nowhere; it is closed.
 */
export async function warmUp(
  { host, limitMs }: WarmUpSpec,
  { fastLane }: CompiledConfig,
  accessLines: LineDestination,
  log: Logger,
): Promise<void> {
  const startedMs = performance.now();
  try {
    await using rehearsal = new Rehearsal(host, fastLane, accessLines);
    const requests = await rehearsal.run(limitMs);
    log.debug({ requests, durationMs: Math.round(performance.now() - startedMs) }, "warmed up");
  } catch (error) {
    log.debug({ err: error }, "the warm-up failed; the first requests will be slower");
  }
}

/** A data plane, the upstream behind it, and its clients, in this thread. */
class Rehearsal {
  readonly #host: string;
  readonly #fastLane: CompiledConfig["fastLane"];
  readonly #accessLines: LineDestination;
  readonly #upstream = createServer({ noDelay: true }, answerAll);
  readonly #sockets = new Set<Socket>();
  #plane: InProcessDataPlane | undefined;

  constructor(host: string, fastLane: CompiledConfig["fastLane"], accessLines: LineDestination) {
    this.#host = host;
    this.#fastLane = fastLane;
    this.#accessLines = accessLines;
    this.#upstream.on("connection", (socket) => this.#keep(socket));
  }

  /** Resolves with the number of requests that were answered. */
  async run(limitMs: number): Promise<number> {
    const { promise: over, resolve: end, reject: fail } = Promise.withResolvers<void>();
    const timer = setTimeout(end, limitMs);
    try {
      const port = await this.#start();
      let answered = 0;
      const onAnswer = () => {
        answered++;
        if (answered === enoughRequests) end();
      };
      for (let client = 0; client < clientCount; client++) {
        const socket = this.#connect(port);
        socket.once("close", () => fail(new Error("a connection ended early")));
        sendAll(socket, onAnswer);
      }
      await over;
      return answered;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.#plane?.dispose();
    await this.#accessLines.close();
    if (this.#upstream.listening) await new Promise((closed) => this.#upstream.close(closed));
  }

  /** Resolves with the data plane's port. */
  async #start(): Promise<number> {
    const loaded = loadConfigText(configText(this.#host, await listening(this.#upstream, this.#host), this.#fastLane), {
      file: "(warm-up)",
      env: {},
      randomSecret: () => randomBytes(32),
    });
    if (!loaded.ok) throw new TypeError(`the warm-up's configuration: ${loaded.problems[0]?.message}`);
    this.#plane = new InProcessDataPlane({
      first: loaded,
      stats: new StatsRegistry(),
      accessLines: this.#accessLines,
      log: createLogger({ level: "silent", nowMs: () => Date.now() }),
      ticketKeys: randomBytes(48),
      planes: 1,
      onRolloutReport() {},
      onDecisions() {},
    });
    const [listener] = await this.#plane.listen();
    if (typeof listener?.address !== "object") throw new TypeError("the warm-up's listener has no port");
    return listener.address.port;
  }

  #connect(port: number): Socket {
    return this.#keep(connect({ host: this.#host, port, noDelay: true }));
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket.on("error", () => socket.destroy());
  }
}

async function listening(server: Server, host: string): Promise<number> {
  server.listen({ host, port: 0 });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A release with a rule, a split and pins, as most have. */
const configText = (host: string, upstreamPort: number, fastLane: CompiledConfig["fastLane"]): string => `
listeners: [{ name: warm-up, address: "${host}:0" }]
fastLane: ${fastLane}
exposeVersion: true
attributes:
  userId: { type: string, from: [{ header: x-user-id }, { cookie: uid }] }
  region: { type: string, from: [{ header: x-user-region }, { query: region }] }
services:
  shop:
    versions:
      stable: { endpoints: ["http://${host}:${upstreamPort}"] }
      canary: { endpoints: ["http://${host}:${upstreamPort}"] }
releases:
  shop:
    rules: [{ name: testers, when: { userId: { prefix: qa- } }, use: canary }, { name: east, when: { region: cn-east }, use: canary }]
    split: { stable: 90, canary: 10 }
routes:
  - { name: api, match: { path: { prefix: /api } }, service: shop, release: shop }
  - { name: shop, service: shop, release: shop }
`;
