import { readFile, rm } from "node:fs/promises";
import type { Logger } from "../../observe/log.ts";
import { replaceFile } from "../../rollout/state/replace-file.ts";

/** What of Kubernetes the configuration was made of, for a start without the API. */
export interface CachedConfig {
  /** Undefined where the configuration is a file, which is at hand. */
  readonly text: string | undefined;
  /** Of the keys that it names, and no others, by reference. */
  readonly keys: ReadonlyMap<string, Uint8Array>;
}

const nothing: CachedConfig = { text: undefined, keys: new Map() };

/**
 * The last good configuration in a file, and what it names of ConfigMaps and Secrets in another beside it, with `.secrets`
 * at its end: whoever may look at the first need not see the second. Both are for their owner only (mode 0600).
 */
export class ConfigCache {
  readonly #file: string | undefined;
  readonly #log: Logger;
  /** What is on the disk. */
  #kept: CachedConfig;
  #writing: Promise<void> = Promise.resolve();

  private constructor(file: string | undefined, log: Logger, kept: CachedConfig) {
    this.#file = file;
    this.#log = log;
    this.#kept = kept;
  }

  /** Without a file it keeps nothing. */
  static async open(file: string | undefined, log: Logger): Promise<ConfigCache> {
    if (file === undefined) return new ConfigCache(file, log, nothing);
    const text = await readIfThere(file);
    const keys = keysIn(await readIfThere(secretsFile(file)));
    if (keys === undefined) log.warn({ file: secretsFile(file) }, "the cache of Secrets is damaged, and not used");
    return new ConfigCache(file, log, { text, keys: keys ?? new Map() });
  }

  get kept(): CachedConfig {
    return this.#kept;
  }

  keep(config: CachedConfig): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#writing = this.#writing
      .then(() => this.#write(file, config))
      .catch((error: Error) =>
        this.#log.error({ file, error: error.message }, "cannot write the configuration's cache"),
      );
  }

  async close(): Promise<void> {
    await this.#writing;
  }

  /** In an order in which a crash leaves no text without its keys. */
  async #write(file: string, { text, keys }: CachedConfig): Promise<void> {
    await this.#writeKeys(file, new Map([...this.#kept.keys, ...keys]));
    if (text !== undefined && text !== this.#kept.text) {
      await replaceFile(file, text);
      this.#kept = { ...this.#kept, text };
    }
    await this.#writeKeys(file, keys);
  }

  async #writeKeys(file: string, keys: CachedConfig["keys"]): Promise<void> {
    const text = textOf(keys);
    if (text === textOf(this.#kept.keys)) return;
    if (keys.size === 0) await rm(secretsFile(file), { force: true });
    else await replaceFile(secretsFile(file), text);
    this.#kept = { ...this.#kept, keys };
  }
}

function secretsFile(file: string): string {
  return `${file}.secrets`;
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch {
    // The first start has none.
    return undefined;
  }
}

/** In the order of their references, since a load may name them in another one. */
function textOf(keys: CachedConfig["keys"]): string {
  const entries = Array.from(keys, ([reference, bytes]) => [reference, Buffer.from(bytes).toString("base64")] as const);
  return JSON.stringify(Object.fromEntries(entries.toSorted(([one], [other]) => (one < other ? -1 : 1))));
}

/** Undefined if it is not what `textOf` makes. */
function keysIn(text: string | undefined): CachedConfig["keys"] | undefined {
  if (text === undefined) return new Map();
  try {
    const entries = Object.entries(JSON.parse(text) as Readonly<Record<string, string>>);
    // A list of numbers would be bytes as well.
    if (entries.some(([, value]) => typeof value !== "string")) return undefined;
    return new Map(entries.map(([reference, value]) => [reference, new Uint8Array(Buffer.from(value, "base64"))]));
  } catch {
    return undefined;
  }
}
