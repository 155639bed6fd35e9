import { randomBytes } from "node:crypto";
import { DatabaseFile, type KnownDatabase } from "../config/database-file.ts";
import { type LoadOptions, type LoadResult, loadConfigFile, loadConfigText } from "../config/load.ts";
import { type ApiFiles, isApiFile } from "../config/named-files.ts";
import { diagnoseFile } from "../config/schema-kit/diagnostics.ts";
import { FileWatcher } from "../config/watch.ts";
import { type ConfigReference, formatConfigReference } from "../kubernetes/config-reference.ts";
import type { Logger } from "../observe/log.ts";

/** The configuration's source: a file or an object of Kubernetes, which are followed, or text made from flags. */
export type ConfigSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "text"; readonly name: string; readonly text: string }
  | {
      readonly kind: "kubernetes";
      readonly reference: ConfigReference;
      /** Keeps the last good configuration for a start without the API. */
      readonly cacheFile: string | undefined;
    };

/** What a load reads: a file, or text that is at hand, or nothing, for a reason. */
export type LoadableSource =
  | { readonly kind: "file"; readonly path: string }
  | {
      readonly kind: "text";
      readonly name: string;
      readonly text: string;
      readonly resourceVersion?: string | undefined;
    }
  | { readonly kind: "missing"; readonly name: string; readonly why: string };

export function sourceName(source: ConfigSource | LoadableSource): string {
  switch (source.kind) {
    case "file":
      return source.path;
    case "kubernetes":
      return formatConfigReference(source.reference);
    default:
      return source.name;
  }
}

export interface LoaderOptions {
  readonly source: LoadableSource;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether the command line says where state is kept. */
  readonly hasStateDir: boolean;
  /** What the Gateway API adds. Default: nothing. */
  readonly apiFiles?: ApiFiles | undefined;
}

/** What outlives a load, and is sent to the thread that makes the next one. */
export interface LoaderMemory {
  /** One random secret per release for the life of the process: a reload must not invalidate its pins. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly database: KnownDatabase | undefined;
}

export interface Loader {
  readonly load: () => Promise<LoadResult>;
  /** The same with other files of the API, and at once: for databases that have been read. */
  readonly loadWith: (apiFiles: ApiFiles) => LoadResult;
  readonly memory: () => LoaderMemory;
}

export const noMemory: LoaderMemory = { secrets: new Map(), database: undefined };

export function createLoader(
  { source, env, hasStateDir, apiFiles }: LoaderOptions,
  nowMs: () => number,
  memory: LoaderMemory,
): Loader {
  const secrets = new Map(memory.secrets);
  const randomSecret = (release: string): Uint8Array => {
    const secret = secrets.get(release) ?? randomBytes(32);
    secrets.set(release, secret);
    return secret;
  };
  const database = new DatabaseFile(memory.database);
  const options = { env, randomSecret, nowMs, openDatabase: database.open, hasStateDir, apiFiles };
  return {
    loadWith: (files) => loadSource(source, { ...options, apiFiles: files }),
    load: () => loadWithDatabase(() => loadSource(source, options), database),
    memory: () => ({ secrets, database: database.known }),
  };
}

function loadSource(source: LoadableSource, options: LoadOptions): LoadResult {
  switch (source.kind) {
    case "file":
      return loadConfigFile(source.path, options);
    case "text": {
      const { name, text, resourceVersion } = source;
      const result = loadConfigText(text, { ...options, file: name });
      return result.ok ? { ...result, sources: { ...result.sources, resourceVersion } } : result;
    }
    case "missing":
      return { ok: false, problems: [diagnoseFile(source.name, source.why)], files: [] };
  }
}

/** Limits retries while the database file keeps changing. */
const maxLoads = 5;

/** A load is synchronous and cannot read the database, so it is repeated after the database has been read. */
async function loadWithDatabase(load: () => LoadResult, database: DatabaseFile): Promise<LoadResult> {
  let result = load();
  for (let loads = 1; loads < maxLoads && (await database.readMissing()); loads++) result = load();
  return result;
}

/** Watches what the configuration is read from, and the files that it names. */
export interface Watcher {
  alsoWatch(files: readonly string[], contentsRead: ReadonlyMap<string, Uint8Array>): void;
  /** Sets the listener. A change since the watch started is reported at once. */
  onChange(listener: () => void): void;
  close(): Promise<void>;
}

/** `object`: what follows the object, of a source in Kubernetes. */
export function watch(
  source: ConfigSource,
  object: Pick<Watcher, "onChange" | "close"> | undefined,
  log: Logger,
): Watcher | undefined {
  if (source.kind === "text") return undefined;
  const own = source.kind === "file" ? [source.path] : [];
  let listener: (() => void) | undefined;
  const files = new FileWatcher({
    files: own,
    onChange: () => listener?.(),
    onWarning: (message) => log.warn(message),
  });
  return {
    alsoWatch(others, contentsRead) {
      files.setFiles([...own, ...others.filter((path) => !isApiFile(path))], contentsRead);
    },
    onChange(next) {
      listener = next;
      object?.onChange(next);
      files.check();
    },
    async close() {
      files.close();
      await object?.close();
    },
  };
}
