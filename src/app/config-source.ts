import { randomBytes } from "node:crypto";
import { DatabaseFile, type KnownDatabase } from "../config/database-file.ts";
import { type LoadResult, loadConfigFile, loadConfigText } from "../config/load.ts";
import { FileWatcher } from "../config/watch.ts";
import type { Logger } from "../observe/log.ts";

/** The configuration's source: a file, which is watched and reloaded, or text made from flags. */
export type ConfigSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "text"; readonly name: string; readonly text: string };

export function sourceName(source: ConfigSource): string {
  return source.kind === "file" ? source.path : source.name;
}

export interface LoaderOptions {
  readonly source: ConfigSource;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether the command line says where state is kept. */
  readonly hasStateDir: boolean;
}

/** What outlives a load, and is sent to the thread that makes the next one. */
export interface LoaderMemory {
  /** One random secret per release for the life of the process: a reload must not invalidate its pins. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly database: KnownDatabase | undefined;
}

export interface Loader {
  readonly load: () => Promise<LoadResult>;
  readonly memory: () => LoaderMemory;
}

export const noMemory: LoaderMemory = { secrets: new Map(), database: undefined };

export function createLoader(
  { source, env, hasStateDir }: LoaderOptions,
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
  const options = { env, randomSecret, nowMs, openDatabase: database.open, hasStateDir };
  const load = () =>
    source.kind === "file"
      ? loadConfigFile(source.path, options)
      : loadConfigText(source.text, { ...options, file: source.name });
  return {
    load: () => loadWithDatabase(load, database),
    memory: () => ({ secrets, database: database.known }),
  };
}

/** Limits retries while the database file keeps changing. */
const maxLoads = 5;

/** A load is synchronous and cannot read the database, so it is repeated after the database has been read. */
async function loadWithDatabase(load: () => LoadResult, database: DatabaseFile): Promise<LoadResult> {
  let result = load();
  for (let loads = 1; loads < maxLoads && (await database.readMissing()); loads++) result = load();
  return result;
}

/** Watches the configuration file and the files that it names. */
export interface Watcher {
  alsoWatch(files: readonly string[], contentsRead: ReadonlyMap<string, Uint8Array>): void;
  /** Sets the listener. A change since the watch started is reported at once. */
  onChange(listener: () => void): void;
  close(): void;
}

export function watch(source: ConfigSource, log: Logger): Watcher | undefined {
  if (source.kind === "text") return undefined;
  let listener: (() => void) | undefined;
  const files = new FileWatcher({
    files: [source.path],
    onChange: () => listener?.(),
    onWarning: (message) => log.warn(message),
  });
  return {
    alsoWatch: (others, contentsRead) => files.setFiles([source.path, ...others], contentsRead),
    onChange(next) {
      listener = next;
      files.check();
    },
    close: () => files.close(),
  };
}
