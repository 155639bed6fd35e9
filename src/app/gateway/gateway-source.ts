import { hash } from "node:crypto";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { GatewaySpec } from "../../config/compiled-config.ts";
import type { ApiFiles } from "../../config/named-files.ts";
import { NoApiAccess } from "../../kubernetes/api-access.ts";
import { openAccess } from "../../kubernetes/find-access.ts";
import type { Logger } from "../../observe/log.ts";
import type { LoaderOptions } from "../config-source.ts";
import { StartError } from "../data-plane.ts";
import { within } from "../within.ts";
import type { GatewayReply, GatewayRequest } from "./gateway-messages.ts";

export interface GatewaySourceOptions {
  readonly spec: GatewaySpec;
  /** How the file is loaded. */
  readonly loader: LoaderOptions;
  /** Whether this replica writes statuses. Asked for each change. */
  readonly isLeader: () => boolean;
  readonly log: Logger;
}

/** How long a start waits for the API. */
const waitMs = 30_000;
/** A thread that ended is started again after this time. */
const restartMs = 1_000;

// tsc does not rewrite this name, so the extension comes from this file, built or not.
const entry = new URL(`./gateway-main${extname(import.meta.url)}`, import.meta.url);

/** What the Gateway API adds to the configuration, from a thread that follows and compiles it. */
export class GatewaySource {
  readonly #options: GatewaySourceOptions;
  readonly #first = Promise.withResolvers<void>();
  #worker: Worker;
  #files: ApiFiles | undefined;
  #version = 0;
  /** What was loaded last. */
  #taken = 0;
  #active = 0;
  #unready = "no answer";
  #listener: (() => void) | undefined;
  #restart: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(options: GatewaySourceOptions) {
    this.#options = options;
    this.#worker = this.#spawn();
  }

  /** Resolves when the API has been read and compiled. Rejects with a `StartError` if that takes longer than 30 s. */
  static async open(options: GatewaySourceOptions): Promise<GatewaySource> {
    await checkAccess(options.loader.env);
    const source = new GatewaySource(options);
    if (await within(waitMs, source.#first.promise)) return source;
    await source.close();
    throw new StartError([`perch: the Gateway API cannot be read: ${source.#unready}`]);
  }

  /** The files to be loaded now, which count as loaded from here on. */
  take(): ApiFiles {
    this.#taken = this.#version;
    return this.#files ?? new Map();
  }

  /** Sets the listener for other files. A change since they were taken is reported at once. */
  onChange(listener: () => void): void {
    this.#listener = listener;
    if (this.#version !== this.#taken) listener();
  }

  /**
   * What became of the files that were taken. `keys`: of the last load; undefined: of the start. `text`: of the active
   * configuration.
   */
  loaded(problem: string | undefined, keys: LoaderOptions["keys"] | undefined, text: string): void {
    if (problem === undefined) this.#active = this.#taken;
    const isActive = this.#active === this.#taken;
    this.#post({ kind: "loaded", version: this.#taken, problem, isActive, keys, textHash: hash("sha256", text) });
  }

  /** To be called when `isLeader` says something else. */
  leaderChanged(): void {
    this.#post({ kind: "leader", isLeader: this.#options.isLeader() });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#restart);
    await this.#worker.terminate();
  }

  #post(request: GatewayRequest): void {
    this.#worker.postMessage(request);
  }

  #spawn(): Worker {
    const { spec, loader, isLeader, log } = this.#options;
    const worker = new Worker(entry, { name: "gateway" });
    worker.unref();
    worker.on("message", (reply: GatewayReply) => this.#take(reply));
    worker.on("error", (error) => log.error({ err: error }, "the thread that follows the Gateway API failed"));
    worker.on("exit", () => {
      if (this.#isClosed) return;
      this.#restart = setTimeout(() => {
        this.#worker = this.#spawn();
      }, restartMs).unref();
    });
    worker.postMessage({ kind: "start", spec, loader, isLeader: isLeader() } satisfies GatewayRequest);
    return worker;
  }

  #take(reply: GatewayReply): void {
    switch (reply.kind) {
      case "compiled":
        this.#files = reply.files;
        this.#version = reply.version;
        this.#first.resolve();
        this.#listener?.();
        break;
      case "unready":
        this.#unready = reply.why;
        break;
      case "log":
        this.#options.log[reply.level](reply.fields, reply.message);
        break;
    }
  }
}

/** A start without any way to the API is told what to do at once. */
async function checkAccess(env: LoaderOptions["env"]): Promise<void> {
  const access = openAccess(env);
  if (access instanceof NoApiAccess) {
    throw new StartError([`perch: the Gateway API cannot be read: ${access.message}`]);
  }
  await access.close();
}
