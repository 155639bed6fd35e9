import { isMainThread, parentPort } from "node:worker_threads";
import { createLogger } from "../observe/log.ts";
import { StatsRegistry } from "../observe/stats-registry.ts";
import {
  type Answer,
  compileInput,
  endpointKey,
  type Input,
  type StartInput,
  type WorkerCall,
  type WorkerCounts,
  type WorkerReply,
  type WorkerRequest,
} from "../workers/messages.ts";
import { PostedLines } from "../workers/worker-thread.ts";
import { type Preparation, StartError } from "./data-plane.ts";
import { InProcessDataPlane } from "./in-process-data-plane.ts";

type Handlers = { readonly [C in WorkerCall]: (input: Input<C>) => Promise<Answer<C>> | Answer<C> };

/** Where a worker begins: one data plane, which does what the main thread asks. */
class WorkerMain {
  readonly handlers: Handlers = {
    start: (input) => this.#start(input),
    prepare: async (config) => {
      const { plane, env } = this.#running();
      this.#prepared = await plane.prepare(compileInput(config, env));
      return undefined;
    },
    commit: async () => {
      if (this.#prepared?.kind === "prepared") await this.#prepared.commit();
      this.#prepared = undefined;
      return undefined;
    },
    counts: () => this.#counts(),
    drain: () => nothing(this.#running().plane.drain()),
    close: () => this.#running().plane.close().then(nothing),
    breakOff: () => nothing(this.#running().plane.abort()),
    free: async () => {
      await this.#plane?.dispose();
      await this.#lines.close();
      return undefined;
    },
  };
  readonly #tell: (told: WorkerReply) => void;
  readonly #stats = new StatsRegistry();
  readonly #lines: PostedLines;
  #plane: InProcessDataPlane | undefined;
  #env: StartInput["env"] = {};
  #prepared: Preparation | undefined;

  constructor(tell: (told: WorkerReply) => void) {
    this.#tell = tell;
    this.#lines = new PostedLines((lines, count) => tell({ kind: "access", lines, count }));
  }

  /** What can still be told by a worker that can not go on. */
  async die(error: unknown): Promise<void> {
    const why = error instanceof Error ? String(error.stack) : String(error);
    await this.#lines.close();
    this.#tell({ kind: "dying", why, counts: this.#plane && this.#counts() });
  }

  async #start({ config, env, logLevel, ticketKeys, ports, worker, workers }: StartInput): Promise<Answer<"start">> {
    const to = { write: (line: string) => this.#tell({ kind: "log", line }) };
    this.#env = env;
    this.#plane = new InProcessDataPlane({
      first: compileInput(config, env),
      stats: this.#stats,
      accessLines: this.#lines,
      log: createLogger({ level: logLevel, nowMs: () => Date.now(), to, worker }),
      ticketKeys: Buffer.from(ticketKeys),
      planes: workers,
    });
    try {
      return {
        kind: "serving",
        listeners: await this.#plane.listen({ ports, unixSockets: worker === 1 ? "here" : "elsewhere" }),
      };
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      return { kind: "failed", problems: error.problems };
    }
  }

  #counts(): WorkerCounts {
    const { endpoints } = this.#running().plane;
    const told = Array.from(endpoints.all()).filter(({ health }) => health.condition.sinceMs !== undefined);
    const beliefs = new Map(told.map((endpoint) => [endpointKey(endpoint), endpoint.health.belief]));
    return { stats: this.#stats.counts(), beliefs };
  }

  #running(): { readonly plane: InProcessDataPlane; readonly env: StartInput["env"] } {
    if (this.#plane === undefined) throw new TypeError("it was asked before it was started");
    return { plane: this.#plane, env: this.#env };
  }
}

const nothing = (_done: unknown) => undefined;

if (isMainThread || parentPort === null) throw new TypeError("This file is started by Perch, as a thread of its own.");
const port = parentPort;
const tell = (told: WorkerReply) => port.postMessage(told);
const worker = new WorkerMain(tell);

port.on("message", async ({ id, call, input }: WorkerRequest) => {
  // Input and answer are of the call that both sides name.
  const handle = worker.handlers[call] as (input: unknown) => unknown;
  try {
    tell({ kind: "answer", id, answer: await handle(input) });
  } catch (error) {
    tell({ kind: "failure", id, why: error instanceof Error ? error.message : String(error) });
  }
});

process.on("uncaughtException", (error) => {
  void worker.die(error).finally(() => process.exit(1));
});
