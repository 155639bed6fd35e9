import { isDeepStrictEqual } from "node:util";
import type { StaticConfig } from "../config/compiled-config.ts";
import type { RejectedConfig, RunnableConfig } from "../config/load.ts";
import { type Diagnostic, diagnoseFile, formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import { addressText } from "../config/sections/listener.ts";
import type { Logger } from "../observe/log.ts";
import type { ReloadStats } from "../observe/stats-registry.ts";
import type { RolloutPreparation } from "../rollout/controller-parts.ts";

/** A configuration that can be activated, or why it cannot. */
export type ReloadPreparation =
  | { readonly kind: "prepared"; commit(): Promise<void> }
  | { readonly kind: "failed"; readonly why: string };

/** The active configuration, and why a newer file is not active: the content of `/api/config`. */
export interface ConfigStatus {
  readonly file: string;
  readonly hash: string;
  readonly loadedAtMs: number;
  readonly warnings: readonly Diagnostic[];
  /** The problems of the last rejected file; undefined after a successful load. */
  readonly lastError: { readonly atMs: number; readonly problems: readonly Diagnostic[] } | undefined;
  /** Keys whose loaded values differ from those of the running process and need a restart. */
  readonly restartNeeded: readonly string[];
}

export type ActiveSources = Pick<RunnableConfig, "hash" | "sources">;

export interface ReloaderParts<Loaded extends RunnableConfig> {
  readonly file: string;
  readonly load: () => Promise<Loaded | RejectedConfig>;
  /** Builds the new snapshot in the data plane without activating it. */
  readonly prepare: (loaded: Loaded) => Promise<ReloadPreparation>;
  /** Checks whether the rollouts can continue with it; `commit` is called right before the data plane's. */
  readonly prepareRollouts: (loaded: Loaded) => RolloutPreparation;
  readonly stats: ReloadStats;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** Called after each load that changed the status: activated, or rejected with `lastError`. */
  readonly onStatus: (now: ConfigStatus, before: ConfigStatus) => void;
  /**
   * Called after each load with the files that the configuration names, even if it is rejected, and with the contents
   * that were read, so that a file that has changed since is loaded again.
   */
  readonly onFiles: (files: readonly string[], contentsRead: ReadonlyMap<string, Uint8Array>) => void;
}

const noContents: ReadonlyMap<string, Uint8Array> = new Map();

/** Reloads the configuration, as a whole or not at all. */
export class Reloader<Loaded extends RunnableConfig> {
  readonly #parts: ReloaderParts<Loaded>;
  readonly #started: StaticConfig;
  #status: ConfigStatus;
  #active: ActiveSources;
  #requested = false;
  #running: Promise<void> | undefined;

  constructor(parts: ReloaderParts<Loaded>, first: RunnableConfig) {
    this.#parts = parts;
    this.#started = first.compiled;
    this.#status = this.#statusOf(first);
    this.#active = sourcesOf(first);
    parts.stats.resourceVersion.text = first.sources.resourceVersion;
    parts.stats.loaded(parts.nowMs(), first.hash);
  }

  get status(): ConfigStatus {
    return this.#status;
  }

  /** What the active configuration was loaded from. */
  get active(): ActiveSources {
    return this.#active;
  }

  /**
   * Loads the file again. An invalid one changes only the status, the log and the metrics. If a load is in progress,
   * the file is loaded once more after it. Resolves once all requested loads are done.
   */
  reload(): Promise<void> {
    this.#requested = true;
    this.#running ??= this.#runRequested().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #runRequested(): Promise<void> {
    while (this.#requested) {
      this.#requested = false;
      await this.#load();
    }
  }

  async #load(): Promise<void> {
    const { stats, nowMs, onFiles } = this.#parts;
    const result = await this.#parts.load();
    if (result.ok) onFiles(result.compiled.files, result.sources.files);
    else onFiles(result.files, noContents);
    if (!result.ok) {
      this.#reject(result.problems);
      return;
    }
    const unchanged = result.hash === this.#status.hash;
    // The same text may be of another version of its object.
    if (unchanged) this.#use(result);
    if (unchanged && this.#status.lastError === undefined) return;
    const rollouts = unchanged ? undefined : this.#parts.prepareRollouts(result);
    if (rollouts !== undefined && rollouts.problems.length > 0) {
      const { file } = this.#status;
      this.#reject(
        rollouts.problems.map(({ release, message }) => diagnoseFile(file, `releases.${release}: ${message}`)),
      );
      return;
    }
    const preparation = unchanged ? undefined : await this.#parts.prepare(result);
    if (preparation?.kind === "failed") {
      const message = `not every worker could prepare the configuration: ${preparation.why}`;
      this.#reject([diagnoseFile(this.#status.file, message)]);
      return;
    }
    await rollouts?.commit();
    await preparation?.commit();
    stats.reloaded(nowMs(), result.hash);
    const before = this.#status;
    this.#status = this.#statusOf(result);
    this.#use(result);
    this.#logReload(result.warnings);
    this.#parts.onStatus(this.#status, before);
  }

  #use(loaded: RunnableConfig): void {
    this.#active = sourcesOf(loaded);
    this.#parts.stats.resourceVersion.text = loaded.sources.resourceVersion;
  }

  #reject(problems: readonly Diagnostic[]): void {
    const { stats, log, nowMs, onStatus } = this.#parts;
    const before = this.#status;
    stats.rejected();
    this.#status = { ...this.#status, lastError: { atMs: nowMs(), problems } };
    log.error(
      { file: this.#status.file, active: this.#status.hash, problems: problems.map(formatDiagnostic) },
      "configuration reload rejected; the previous configuration stays active",
    );
    onStatus(this.#status, before);
  }

  #logReload(warnings: readonly Diagnostic[]): void {
    const { log } = this.#parts;
    const { file, hash, restartNeeded } = this.#status;
    const fields = { file, hash, restartNeeded };
    if (restartNeeded.length === 0) log.info(fields, "configuration reloaded");
    else log.warn(fields, `configuration reloaded; restart Perch to apply changes to ${restartNeeded.join(", ")}`);
    for (const warning of warnings) log.warn({ problem: formatDiagnostic(warning) }, "configuration warning");
  }

  #statusOf(loaded: RunnableConfig): ConfigStatus {
    return {
      file: this.#parts.file,
      hash: loaded.hash,
      loadedAtMs: this.#parts.nowMs(),
      warnings: loaded.warnings,
      lastError: undefined,
      restartNeeded: restartNeeded(this.#started, loaded.compiled),
    };
  }
}

/** Without what was compiled from them. */
function sourcesOf({ hash, sources }: RunnableConfig): ActiveSources {
  return { hash, sources };
}

function restartNeeded(running: StaticConfig, loaded: StaticConfig): string[] {
  const text = ({ listeners }: StaticConfig) =>
    listeners
      .map(({ name, address }) => `${name} ${addressText(address)} ${"mode" in address ? address.mode : ""}`)
      .join();
  const changed: string[] = [];
  if (text(running) !== text(loaded)) changed.push("listeners");
  if (addressText(running.admin) !== addressText(loaded.admin)) changed.push("admin.address");
  if (running.workers !== loaded.workers) changed.push("workers");
  if (running.stateFile !== loaded.stateFile) changed.push("state.file");
  if (!isDeepStrictEqual(running.sharedState, loaded.sharedState)) changed.push("state.kubernetes");
  if (!isDeepStrictEqual(running.gateway, loaded.gateway)) changed.push("kubernetes.gateway");
  return changed;
}
