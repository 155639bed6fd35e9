import { extname } from "node:path";
import type { CompiledConfig } from "../config/compiled-config.ts";
import type { RejectedConfig, RunnableConfig } from "../config/load.ts";
import { decodeConfig } from "../config/portable/decode-config.ts";
import { type BaseConfig, type EncodedConfig, fingerprintsOf } from "../config/portable/encode-config.ts";
import type { Fingerprints, PortableConfig } from "../config/portable/portable-config.ts";
import { diagnoseFile } from "../config/schema-kit/diagnostics.ts";
import type { LoaderMemory, LoaderOptions } from "./config-source.ts";
import { type GivenUpCause, JobThread } from "./job-thread.ts";
import { inSlices } from "./slices.ts";

export interface ConfigJob {
  readonly options: LoaderOptions;
  readonly memory: LoaderMemory;
  readonly base: BaseConfig;
}

export type ConfigReply =
  | {
      readonly kind: "loaded";
      readonly loaded: Omit<RunnableConfig, "compiled">;
      readonly encoded: EncodedConfig;
      readonly memory: LoaderMemory;
    }
  | { readonly kind: "rejected"; readonly rejected: RejectedConfig; readonly memory: LoaderMemory }
  | { readonly kind: "failure"; readonly why: string };

/** A configuration that was loaded in place of the active one, also in the form in which workers get it. */
export type ReloadedConfig = RunnableConfig & { readonly portable: PortableConfig };

interface ActiveConfig {
  readonly config: CompiledConfig;
  readonly hash: string;
}

export interface ConfigThreadParts {
  /** The source's name, for messages. */
  readonly name: string;
  /** Called for each load. */
  readonly options: () => LoaderOptions;
  /** Of the first load. */
  readonly memory: LoaderMemory;
  /** What all threads that serve run. */
  readonly active: () => ActiveConfig;
  /** How long the thread waits for another load, which an editor or a rollout of files may bring. Default: 5 s. */
  readonly idleMs?: number;
  /** How long a load may take. Default: 30 s. */
  readonly timeLimitMs?: number;
  /** What the thread runs; default: `config-main`. */
  readonly entry?: URL;
}

// tsc does not rewrite this name, so the extension comes from this file, built or not.
const defaultEntry = new URL(`./config-main${extname(import.meta.url)}`, import.meta.url);

const defaultTimeLimitMs = 30_000;

/**
 * Loads the configuration in a separate thread: reading, checking and compiling ten thousand routes takes over a second,
 * in which nothing else could be served. This thread only takes over what has changed, in slices. One load at a time.
 */
export class ConfigThread {
  readonly #parts: ConfigThreadParts;
  readonly #thread: JobThread<ConfigJob, ConfigReply>;
  readonly #fingerprints = new WeakMap<CompiledConfig, Fingerprints>();
  /** The random secrets so far of releases without a `secretFile`. */
  readonly secrets: Map<string, Uint8Array>;
  #database: LoaderMemory["database"];

  constructor(parts: ConfigThreadParts) {
    const { entry = defaultEntry, idleMs = 5_000, timeLimitMs = defaultTimeLimitMs, memory } = parts;
    this.#parts = parts;
    this.secrets = new Map(memory.secrets);
    this.#database = memory.database;
    this.#thread = new JobThread({ name: "config", entry, idleMs, timeLimitMs });
  }

  /** Whether there is a thread now. */
  get isRunning(): boolean {
    return this.#thread.isRunning;
  }

  /** Never rejects: problems are in the result, that of the thread itself too. */
  async load(): Promise<ReloadedConfig | RejectedConfig> {
    const active = this.#parts.active();
    try {
      return await this.#load(active);
    } catch (error) {
      return this.#failed(error instanceof Error ? String(error.stack) : String(error), active);
    }
  }

  /** Ends the thread at once. */
  async close(): Promise<void> {
    await this.#thread.close();
  }

  async #load(active: ActiveConfig): Promise<ReloadedConfig | RejectedConfig> {
    const options = this.#parts.options();
    const { config, hash } = active;
    const base = { hash, fingerprints: await this.#fingerprintsOf(config) };
    const outcome = await this.#thread.ask(() => ({
      options,
      memory: { secrets: this.secrets, database: this.#database },
      base,
    }));
    if (outcome.kind === "given-up") return this.#rejected(this.#messageOf(outcome.cause), active);
    const { reply } = outcome;
    if (reply.kind === "failure") return this.#failed(reply.why, active);
    this.#database = reply.memory.database;
    for (const [release, secret] of reply.memory.secrets) this.secrets.set(release, secret);
    if (reply.kind === "rejected") return reply.rejected;
    const { portable, fingerprints } = reply.encoded;
    const { database } = reply.loaded.sources;
    const compiled = await inSlices(decodeConfig(portable, { running: config, runningHash: hash, database }));
    this.#fingerprints.set(compiled, fingerprints);
    return { ...reply.loaded, compiled, portable };
  }

  /** Known of all configurations but the first. */
  async #fingerprintsOf(config: CompiledConfig): Promise<Fingerprints> {
    const known = this.#fingerprints.get(config) ?? (await inSlices(fingerprintsOf(config)));
    this.#fingerprints.set(config, known);
    return known;
  }

  /** The files of the active configuration stay watched. */
  #rejected(message: string, { config }: ActiveConfig): RejectedConfig {
    const problem = diagnoseFile(this.#parts.name, message);
    return { ok: false, problems: [problem], files: config.files };
  }

  #failed(why: string, active: ActiveConfig): RejectedConfig {
    return this.#rejected(`it could not be loaded (a bug in Perch): ${why}`, active);
  }

  #messageOf(cause: GivenUpCause): string {
    switch (cause) {
      case "too-long":
        return `it took longer than ${(this.#parts.timeLimitMs ?? defaultTimeLimitMs) / 1_000} s to load, so loading was aborted`;
      case "out-of-memory":
        return "it took too much memory to load, so loading was aborted";
      case "ended":
        return "the thread that loaded it ended, so loading was aborted";
      case "closed":
        return "Perch is stopping";
    }
  }
}
