import type { BindAddress, StaticConfig } from "./config/compiled-config.ts";
import { type Diagnostic, formatDiagnostic } from "./config/diagnostics.ts";
import type { LoadResult } from "./config/load.ts";
import type { ReloadCells } from "./observe/cells.ts";
import type { Logger } from "./observe/log.ts";
import type { ActiveSnapshot } from "./proxy/active-snapshot.ts";

export type LoadedConfig = Extract<LoadResult, { ok: true }>;

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
  readonly load: () => LoadResult;
  readonly active: ActiveSnapshot;
  readonly cells: ReloadCells;
  readonly log: Logger;
  readonly nowMs: () => number;
  readonly onLoaded: (loaded: LoadedConfig) => void;
  /** Hears after each look which files beside the configuration matter: also those that a refused one names. */
  readonly onFiles: (files: readonly string[]) => void;
}

/** Takes a changed configuration into service, whole or not at all. */
export class Reloader {
  readonly #parts: ReloaderParts;
  readonly #started: StaticConfig;
  #status: ConfigStatus;

  constructor(parts: ReloaderParts, first: LoadedConfig) {
    this.#parts = parts;
    this.#started = first.compiled;
    this.#status = this.#statusOf(first);
    parts.cells.loaded(parts.nowMs());
  }

  get status(): ConfigStatus {
    return this.#status;
  }

  /** Loads the file again. A bad one changes nothing but the status, the log and the metrics. */
  reload(): "unchanged" | "loaded" | "refused" {
    const { active, cells, log, nowMs, onLoaded } = this.#parts;
    const result = this.#parts.load();
    this.#parts.onFiles(result.ok ? result.compiled.files : result.files);
    if (!result.ok) {
      cells.rejected();
      this.#status = { ...this.#status, lastError: { atMs: nowMs(), problems: result.problems } };
      const problems = result.problems.map(formatDiagnostic);
      log.error(
        { file: this.#status.file, active: this.#status.hash, problems },
        "configuration refused; the last good one stays",
      );
      return "refused";
    }
    const unchanged = result.hash === this.#status.hash;
    if (unchanged && this.#status.lastError === undefined) return "unchanged";
    if (!unchanged) active.replace(result.compiled, result.hash);
    cells.reloaded(nowMs());
    this.#status = this.#statusOf(result);
    onLoaded(result);
    const { hash, restartNeeded } = this.#status;
    log.info({ file: this.#status.file, hash, restartNeeded }, "configuration loaded");
    for (const warning of result.warnings) log.warn({ problem: formatDiagnostic(warning) }, "configuration warning");
    return "loaded";
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
  const text = (addresses: readonly BindAddress[]) => addresses.map(({ host, port }) => `${host} ${port}`).join();
  const changed: string[] = [];
  if (text(running.listeners) !== text(loaded.listeners)) changed.push("listeners");
  if (text([running.admin]) !== text([loaded.admin])) changed.push("admin.address");
  return changed;
}
