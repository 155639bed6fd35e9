import { isMainThread, parentPort } from "node:worker_threads";
import { decodeConfig } from "../config/portable/decode-config.ts";
import { createLogger } from "../observe/log.ts";
import { StatsRegistry } from "../observe/stats-registry.ts";
import { ReceivedSlices } from "../upstream/received-slices.ts";
import {
  type Answer,
  compileInput,
  endpointKey,
  type Input,
  type ListenInput,
  type StartAnswer,
  type StartInput,
  type WorkerCall,
  type WorkerCounts,
  type WorkerReply,
  type WorkerRequest,
} from "../workers/messages.ts";
import { PostedLines } from "../workers/worker-thread.ts";
import { type Preparation, StartError } from "./data-plane.ts";
import { InProcessDataPlane } from "./in-process-data-plane.ts";
import { inSlices } from "./slices.ts";
import { warmUp } from "./warm-up.ts";

type Handlers = { readonly [C in WorkerCall]: (input: Input<C>) => Promise<Answer<C>> | Answer<C> };

/** A worker: one data plane, controlled by the main thread. */
class WorkerMain {
  readonly handlers: Handlers = {
    start: (input) => this.#start(input),
    listen: (input) => this.#listen(input),
    prepare: async ({ portable, hash, database }) => {
      const { plane } = this.#running();
      const { config: running, hash: runningHash } = plane.active.current;
      const compiled = await inSlices(decodeConfig(portable, { running, runningHash, database }));
      this.#prepared = await plane.prepare({ compiled, hash });
      return undefined;
    },
    commit: async (directions) => {
      if (this.#prepared?.kind === "prepared") await this.#prepared.commit(directions);
      this.#prepared = undefined;
      return undefined;
    },
    direct: (directions) => this.#running().plane.direct(directions).then(noAnswer),
    slices: (moved) => noAnswer(this.#slices.receive(moved)),
    counts: () => this.#counts(),
    traffic: () => this.#running().plane.traffic(),
    watchDecisions: (areWatched) => noAnswer(this.#running().plane.watchDecisions(areWatched)),
    drain: () => noAnswer(this.#running().plane.drain()),
    close: () => this.#running().plane.close().then(noAnswer),
    abort: () => noAnswer(this.#running().plane.abort()),
    dispose: async () => {
      await this.#plane?.dispose();
      await this.#lines.close();
      return undefined;
    },
  };
  readonly #post: (reply: WorkerReply) => void;
  readonly #stats = new StatsRegistry();
  readonly #slices = new ReceivedSlices();
  readonly #lines: PostedLines;
  #plane: InProcessDataPlane | undefined;
  #env: StartInput["env"] = {};
  #prepared: Preparation | undefined;

  constructor(post: (reply: WorkerReply) => void) {
    this.#post = post;
    this.#lines = new PostedLines((lines, count) => post({ kind: "access", lines, count }));
  }

  /** Sends the last access log lines and counts before the worker exits. */
  async die(error: unknown): Promise<void> {
    const why = error instanceof Error ? String(error.stack) : String(error);
    await this.#lines.close();
    this.#post({ kind: "dying", why, counts: this.#plane && this.#counts() });
  }

  async #start(input: StartInput): Promise<undefined> {
    const { config, directions, areDecisionsWatched, env, logLevel, ticketKeys, warmUp: spec, worker, workers } = input;
    const to = { write: (line: string) => this.#post({ kind: "log", line }) };
    this.#env = env;
    this.#slices.receive(input.slices);
    const first = compileInput(config, env);
    const log = createLogger({ level: logLevel, nowMs: () => Date.now(), to, worker });
    this.#plane = new InProcessDataPlane({
      first,
      stats: this.#stats,
      accessLines: this.#lines,
      log,
      ticketKeys: Buffer.from(ticketKeys),
      planes: workers,
      slices: this.#slices,
      onRolloutReport: (report) => this.#post({ kind: "rollout", report }),
      onDecisions: (batch) => this.#post({ kind: "decisions", batch }),
    });
    this.#plane.watchDecisions(areDecisionsWatched);
    await this.#plane.direct(directions);
    const warm = spec && warmUp(spec, first.compiled, new PostedLines(() => {}), log);
    await Promise.all([this.#plane.namesResolved(), warm]);
    return undefined;
  }

  async #listen(input: ListenInput): Promise<StartAnswer> {
    try {
      return { kind: "serving", listeners: await this.#running().plane.listen(input) };
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      return { kind: "failed", problems: error.problems };
    }
  }

  #counts(): WorkerCounts {
    const { endpoints } = this.#running().plane;
    const changed = Array.from(endpoints.all()).filter(({ health }) => health.condition.sinceMs !== undefined);
    const health = new Map(changed.map((endpoint) => [endpointKey(endpoint), endpoint.health.belief]));
    const singleUse = new Map(
      Array.from(endpoints.all())
        .filter(({ singleUse: { untilMs } }) => untilMs > 0)
        .map((endpoint) => [endpointKey(endpoint), endpoint.singleUse.untilMs]),
    );
    return { stats: this.#stats.counts(), health, singleUse };
  }

  #running(): { readonly plane: InProcessDataPlane; readonly env: StartInput["env"] } {
    if (this.#plane === undefined) throw new TypeError("the worker was called before it was started");
    return { plane: this.#plane, env: this.#env };
  }
}

const noAnswer = (_done: unknown) => undefined;

if (isMainThread || parentPort === null) throw new TypeError("This file runs only as a worker thread of Perch.");
const port = parentPort;
const post = (reply: WorkerReply) => port.postMessage(reply);
const worker = new WorkerMain(post);

port.on("message", async ({ id, call, input }: WorkerRequest) => {
  // The types of input and result depend on the call, which the compiler cannot know here.
  const handle = worker.handlers[call] as (input: unknown) => unknown;
  try {
    post({ kind: "answer", id, answer: await handle(input) });
  } catch (error) {
    post({ kind: "failure", id, why: error instanceof Error ? error.message : String(error) });
  }
});

process.on("uncaughtException", (error) => {
  void worker.die(error).finally(() => process.exit(1));
});
