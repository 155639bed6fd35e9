import { randomBytes } from "node:crypto";
import { DatabaseFile, type KnownDatabase } from "../config/database-file.ts";
import { formatKeyReference, isKeyReference, type KeyReference } from "../config/key-reference.ts";
import { type LoadOptions, type LoadResult, loadConfigFile, loadConfigText } from "../config/load.ts";
import { type ApiFiles, isApiFile } from "../config/named-files.ts";
import { FileWatcher } from "../config/watch.ts";
import type { Logger } from "../observe/log.ts";
import { type KeyValues, keyReader, loadConfigKey } from "./kubernetes/named-keys.ts";

/** The configuration's source: a file or an object of Kubernetes, which are followed, or text made from flags. */
export type ConfigSource =
  | ({ readonly kind: "file"; readonly path: string } & CachedSource)
  | { readonly kind: "text"; readonly name: string; readonly text: string }
  | ({ readonly kind: "kubernetes"; readonly reference: KeyReference } & CachedSource);

interface CachedSource {
  /** Keeps what was read of Kubernetes for a start without the API. Default: nothing is kept. */
  readonly cacheFile?: string | undefined;
}

export function sourceName(source: ConfigSource): string {
  switch (source.kind) {
    case "file":
      return source.path;
    case "kubernetes":
      return formatKeyReference(source.reference);
    default:
      return source.name;
  }
}

export interface LoaderOptions {
  readonly source: ConfigSource;
  /** Of the keys in Kubernetes that are followed. */
  readonly keys: KeyValues;
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
  { source, keys, env, hasStateDir, apiFiles }: LoaderOptions,
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
  const readKey = keyReader(keys);
  const options = { env, randomSecret, nowMs, openDatabase: database.open, hasStateDir, readKey, apiFiles };
  return {
    loadWith: (files) => loadSource(source, keys, { ...options, apiFiles: files }),
    load: () => loadWithDatabase(() => loadSource(source, keys, options), database),
    memory: () => ({ secrets, database: database.known }),
  };
}

function loadSource(source: ConfigSource, keys: KeyValues, options: LoadOptions): LoadResult {
  switch (source.kind) {
    case "file":
      return loadConfigFile(source.path, options);
    case "text":
      return loadConfigText(source.text, { ...options, file: source.name });
    case "kubernetes":
      return loadConfigKey(formatKeyReference(source.reference), keys, options);
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

/** `objects`: what follows what is in Kubernetes. */
export function watch(source: ConfigSource, objects: Pick<Watcher, "onChange" | "close">, log: Logger): Watcher {
  // Text made from flags does not change, and the files that it names are not expected to.
  if (source.kind === "text") {
    return { alsoWatch() {}, onChange: (listener) => objects.onChange(listener), close: () => objects.close() };
  }
  const own = source.kind === "file" ? [source.path] : [];
  let listener: (() => void) | undefined;
  const files = new FileWatcher({
    files: own,
    onChange: () => listener?.(),
    onWarning: (message) => log.warn(message),
  });
  return {
    alsoWatch(others, contentsRead) {
      const named = others.filter((path) => !isKeyReference(path) && !isApiFile(path));
      files.setFiles([...own, ...named], contentsRead);
    },
    onChange(next) {
      listener = next;
      objects.onChange(next);
      files.check();
    },
    async close() {
      files.close();
      await objects.close();
    },
  };
}
