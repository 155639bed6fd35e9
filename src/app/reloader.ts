import type { StaticConfig } from "../config/compiled-config.ts";
import type { LoadedConfig, LoadResult } from "../config/load.ts";
import { type Diagnostic, diagnoseFile, formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import { addressText } from "../config/sections/listener.ts";
import type { Logger } from "../observe/log.ts";
import type { ReloadStats } from "../observe/stats-registry.ts";
import type { Preparation } from "./data-plane.ts";

/** What is active, since when, and why a newer file is not: what `/api/config` tells. */
export interface ConfigStatus {
  readonly file: string;
  readonly hash: string;
  readonly loadedAtMs: number;
  readonly warnings: readonly Diagnostic[];
  /** The problems of the last file that was refused; undefined once a good one was loaded. */
  readonly lastError: { readonly atMs: number; readonly problems: readonly Diagnostic[] } | undefined;
  /** What differs from the running process and takes a restart. */
  readonly restartNeeded: readonly string[];
}

export interface ReloaderParts {
  readonly file: string;
  readonly load: () => Promise<LoadResult>;
  /** Builds it aside, wherever requests are served. */
  readonly prepare: (loaded: LoadedConfig) => Promise<Preparation>;
  readonly stats: ReloadStats;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** Hears after each look which files beside the configuration matter: also those that a refused one names. */
  readonly onFiles: (files: readonly string[]) => void;
}

/** Takes a changed configuration into service, whole or not at all. */
export class Reloader {
  readonly #parts: ReloaderParts;
  readonly #started: StaticConfig;
  #status: ConfigStatus;
  #asked = false;
  #running: Promise<void> | undefined;

  constructor(parts: ReloaderParts, first: LoadedConfig) {
    this.#parts = parts;
    this.#started = first.compiled;
    this.#status = this.#statusOf(first);
    parts.stats.loaded(parts.nowMs());
  }

  get status(): ConfigStatus {
    return this.#status;
  }

  /**
   * Loads the file again. A bad one changes nothing but the status, the log and the metrics. Asked while a load is under
   * way, it looks once more after it. Resolves once all looks asked for are done.
   */
  reload(): Promise<void> {
    this.#asked = true;
    this.#running ??= this.#untilNobodyAsks().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #untilNobodyAsks(): Promise<void> {
    while (this.#asked) {
      this.#asked = false;
      await this.#look();
    }
  }

  async #look(): Promise<void> {
    const { stats, nowMs, onFiles } = this.#parts;
    const result = await this.#parts.load();
    onFiles(result.ok ? result.compiled.files : result.files);
    if (!result.ok) {
      this.#refuse(result.problems);
      return;
    }
    const unchanged = result.hash === this.#status.hash;
    if (unchanged && this.#status.lastError === undefined) return;
    const preparation = unchanged ? undefined : await this.#parts.prepare(result);
    if (preparation?.kind === "failed") {
      const message = `not every worker could prepare it: ${preparation.why}`;
      this.#refuse([diagnoseFile(this.#status.file, message)]);
      return;
    }
    await preparation?.commit();
    stats.reloaded(nowMs());
    this.#status = this.#statusOf(result);
    this.#tell(result.warnings);
  }

  #refuse(problems: readonly Diagnostic[]): void {
    const { stats, log, nowMs } = this.#parts;
    stats.rejected();
    this.#status = { ...this.#status, lastError: { atMs: nowMs(), problems } };
    log.error(
      { file: this.#status.file, active: this.#status.hash, problems: problems.map(formatDiagnostic) },
      "configuration refused; the last good one stays",
    );
  }

  #tell(warnings: readonly Diagnostic[]): void {
    const { file, hash, restartNeeded } = this.#status;
    this.#parts.log.info({ file, hash, restartNeeded }, "configuration loaded");
    for (const warning of warnings)
      this.#parts.log.warn({ problem: formatDiagnostic(warning) }, "configuration warning");
  }

  #statusOf(loaded: LoadedConfig): ConfigStatus {
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

function restartNeeded(running: StaticConfig, loaded: StaticConfig): string[] {
  const text = ({ listeners }: StaticConfig) =>
    listeners
      .map(({ name, address }) => `${name} ${addressText(address)} ${"mode" in address ? address.mode : ""}`)
      .join();
  const changed: string[] = [];
  if (text(running) !== text(loaded)) changed.push("listeners");
  if (addressText(running.admin) !== addressText(loaded.admin)) changed.push("admin.address");
  if (running.workers !== loaded.workers) changed.push("workers");
  return changed;
}
