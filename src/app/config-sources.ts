import type { CompiledConfig } from "../config/compiled-config.ts";
import type { LoadedConfig, LoadResult, RejectedConfig } from "../config/load.ts";
import { diagnoseFile, errorsOf, formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import type { Logger } from "../observe/log.ts";
import {
  type ConfigSource,
  createLoader,
  type LoaderMemory,
  type LoaderOptions,
  noMemory,
  sourceName,
  type Watcher,
  watch,
} from "./config-source.ts";
import type { ReloadedConfig } from "./config-thread.ts";
import { StartError } from "./data-plane.ts";
import type { GatewaySource } from "./gateway/gateway-source.ts";
import { ConfigObjects } from "./kubernetes/config-objects.ts";
import { SliceSource } from "./kubernetes/slice-source.ts";
import type { ActiveSources, ConfigStatus } from "./reloader.ts";

export interface ConfigSourcesOptions {
  readonly source: ConfigSource;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stateDir?: string | undefined;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** Whether this replica writes what only one may write, with the configuration of the start. Asked for each change. */
  readonly isLeader: (config: CompiledConfig) => boolean;
}

/** The configuration of the start, and what its load leaves for the next one. */
export interface FirstConfig {
  readonly first: LoadedConfig;
  readonly memory: LoaderMemory;
}

/**
 * All that the configuration is made of and goes on with: the file or object, the files and keys that it names, the
 * routes of the Gateway API, and the Pods of Kubernetes Services.
 */
export class ConfigSources {
  readonly watcher: Watcher;
  readonly slices: SliceSource;
  readonly #options: ConfigSourcesOptions;
  readonly #objects: ConfigObjects;
  #gateway: GatewaySource | undefined;
  #lastTaken: LoaderOptions | undefined;

  private constructor(options: ConfigSourcesOptions, objects: ConfigObjects) {
    const { source, env, log } = options;
    this.#options = options;
    this.#objects = objects;
    // Watch before the first load, so that a change in between is not missed.
    this.watcher = watch(source, objects, log);
    this.slices = new SliceSource({ env, log });
  }

  /** Resolves with the first configuration. Rejects with a `StartError` after closing everything. */
  static async open(options: ConfigSourcesOptions): Promise<FirstConfig & { readonly sources: ConfigSources }> {
    const sources = new ConfigSources(options, await ConfigObjects.open(options));
    try {
      return { sources, ...(await sources.#begin()) };
    } catch (error) {
      await sources.close();
      throw error;
    }
  }

  /** How the configuration is to be loaded now; what it is loaded from counts as loaded from here on. */
  take(): LoaderOptions {
    const { source, env, stateDir } = this.#options;
    const apiFiles = this.#gateway?.take();
    const taken = {
      source,
      keys: this.#objects.take(),
      env: { ...env },
      hasStateDir: stateDir !== undefined,
      apiFiles,
    };
    this.#lastTaken = taken;
    return taken;
  }

  /** Loads it by `load` until all keys that it names are there; rejected if its endpoints cannot be found. */
  async load(load: () => Promise<ReloadedConfig | RejectedConfig>): Promise<ReloadedConfig | RejectedConfig> {
    const loaded = await this.#objects.load(load);
    const unfound = loaded.ok ? await this.slices.load(loaded.compiled) : undefined;
    if (!loaded.ok || unfound === undefined) return loaded;
    const file = sourceName(this.#options.source);
    return { ok: false, problems: [diagnoseFile(file, unfound)], files: loaded.compiled.files };
  }

  /** Sets the listener for changes. */
  onChange(listener: () => void): void {
    this.watcher.onChange(listener);
    this.#gateway?.onChange(listener);
  }

  /** What became of the load that was taken last. */
  tell({ lastError }: ConfigStatus, { sources }: ActiveSources): void {
    const problem = lastError && errorsOf(lastError.problems)[0]?.message;
    this.#gateway?.loaded(problem, this.#lastTaken?.keys, sources.text);
  }

  /** To be called when `isLeader` says something else. */
  leaderChanged(): void {
    this.#gateway?.leaderChanged();
  }

  /** Keeps what is active for a start without the API. */
  keep(sources: ActiveSources["sources"]): void {
    this.#objects.keep(sources);
  }

  async close(): Promise<void> {
    await this.slices.close();
    await this.#gateway?.close();
    await this.watcher.close();
  }

  async #begin(): Promise<FirstConfig> {
    const written = await this.#loadHere(noMemory);
    const loaded = (await this.#openGateway(written.result)) ? await this.#loadHere(written.memory) : written;
    const { result: first, memory } = loaded;
    if (!first.ok) throw new StartError(errorsOf(first.problems).map(formatDiagnostic));
    const unfound = await this.slices.load(first.compiled);
    if (unfound !== undefined) throw new StartError([`perch: ${unfound}`]);
    return { first, memory };
  }

  /** In this thread, since nothing is served yet. */
  async #loadHere(before: LoaderMemory): Promise<{ readonly result: LoadResult; readonly memory: LoaderMemory }> {
    let memory = before;
    const result = await this.#objects.load(async () => {
      const loader = createLoader(this.take(), this.#options.nowMs, memory);
      const loaded = await loader.load();
      memory = loader.memory();
      return loaded;
    });
    return { result, memory };
  }

  /** Whether the configuration asks for it: it is loaded only then. */
  async #openGateway(written: LoadResult): Promise<boolean> {
    if (!written.ok || written.compiled.gateway === undefined) return false;
    const { GatewaySource } = await import("./gateway/gateway-source.ts");
    const { log, isLeader } = this.#options;
    this.#gateway = await GatewaySource.open({
      spec: written.compiled.gateway,
      loader: this.take(),
      isLeader: () => isLeader(written.compiled),
      log,
    });
    return true;
  }
}
