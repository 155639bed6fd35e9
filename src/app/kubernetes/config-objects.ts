import { performance } from "node:perf_hooks";
import {
  formatKeyReference,
  isKeyReference,
  type KeyReference,
  parseKeyReference,
} from "../../config/key-reference.ts";
import type { ConfigSources } from "../../config/load.ts";
import type { DataObjectId, KeyValue } from "../../kubernetes/data-object.ts";
import type { Logger } from "../../observe/log.ts";
import type { ConfigSource } from "../config-source.ts";
import { StartError } from "../data-plane.ts";
import { within } from "../within.ts";
import { ConfigCache } from "./config-cache.ts";
import type { FollowedObjects } from "./followed-objects.ts";
import {
  type KeyValues,
  keysNamedBy,
  loadWithKeys,
  maxObjects,
  type NamingResult,
  tooManyObjects,
} from "./named-keys.ts";

export interface ConfigObjectsOptions {
  readonly source: ConfigSource;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  /** How many objects are followed at most. Default: 200. */
  readonly maxObjects?: number;
}

/** How long a start waits for the API where the cache has what is asked for, and where it has not. */
const waitWithCacheMs = 3_000;
const waitMs = 30_000;
/** How long it waits at least for objects that it comes to know of in the meantime. */
const leastWaitMs = 1_000;
/** How long a reload waits for objects that are named for the first time. */
const reloadWaitMs = 5_000;
/** How soon, and then how often, the log says what a start waits for. */
const firstWordMs = 1_000;
const nextWordMs = 5_000;

/**
 * What the configuration is made of in Kubernetes: the ConfigMap or Secret that it is itself, and the keys of those that it
 * names. Each object is followed; without one, nothing of this is loaded.
 */
export class ConfigObjects {
  readonly #options: ConfigObjectsOptions;
  readonly #maxObjects: number;
  readonly #cache: ConfigCache;
  readonly #openedMs = performance.now();
  /** The reference of the configuration itself. */
  readonly #config: string | undefined;
  /** All keys of which the values are known, or why they are not. */
  readonly #keys = new Map<string, KeyReference>();
  /** What the active configuration names. */
  #active: readonly string[] = [];
  /** What was loaded last. */
  #taken: KeyValues = new Map();
  #followed: FollowedObjects | undefined;
  /** Why there is no access to the API. */
  #noAccess: string | undefined;
  #listener: (() => void) | undefined;

  private constructor(options: ConfigObjectsOptions, cache: ConfigCache) {
    const { source } = options;
    this.#options = options;
    this.#maxObjects = options.maxObjects ?? maxObjects;
    this.#cache = cache;
    this.#config = source.kind === "kubernetes" ? formatKeyReference(source.reference) : undefined;
  }

  /**
   * Resolves when there is something to load: of the API, or of the cache while the API does not answer. Rejects with a
   * `StartError` if there is neither, or no access to the API.
   */
  static async open(options: ConfigObjectsOptions): Promise<ConfigObjects> {
    const { source, log } = options;
    const cacheFile = source.kind === "text" ? undefined : source.cacheFile;
    const objects = new ConfigObjects(options, await ConfigCache.open(cacheFile, log));
    if (source.kind === "kubernetes") await objects.#readConfig(source.reference);
    return objects;
  }

  /** What is to be loaded now, and counts as loaded from here on. */
  take(): KeyValues {
    this.#taken = new Map(Array.from(this.#keys, ([reference, key]) => [reference, this.#valueOf(reference, key)]));
    return this.#taken;
  }

  /** Loads, and again if keys are named that have not been read. `load` must load what `take` gives. */
  async load<R extends NamingResult>(load: () => Promise<R>): Promise<R> {
    const result = await loadWithKeys(load, {
      isRead: (reference) => this.#keys.has(reference),
      read: (references) => this.#read(references),
    });
    if (result.ok) this.#active = keysNamedBy(result);
    this.#keepOnly([...this.#active, ...keysNamedBy(result)]);
    return result;
  }

  /** Sets the listener for changes of what was loaded. One since then is reported at once. */
  onChange(listener: () => void): void {
    this.#listener = listener;
    if (this.#hasChanged(() => true)) listener();
  }

  /** Keeps what the active configuration was made of for a start without the API. */
  keep({ text, files }: ConfigSources): void {
    const keys = new Map(Array.from(files).filter(([path]) => isKeyReference(path)));
    this.#cache.keep({ text: this.#config === undefined ? undefined : text, keys });
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    await this.#followed?.close();
    await this.#cache.close();
  }

  async #readConfig(reference: KeyReference): Promise<void> {
    const name = formatKeyReference(reference);
    await this.#read([name]);
    if (this.#noAccess !== undefined) throw new StartError([`perch: ${name} cannot be read: ${this.#noAccess}`]);
    if (this.#followed?.hasAnswered(reference) || this.#cachedValue(name) !== undefined) return;
    const why = this.#followed?.troubleOf(reference) ?? "no answer";
    await this.close();
    throw new StartError([`perch: ${name} cannot be read from the Kubernetes API: ${why}`]);
  }

  /** Follows what these refer to, and waits for the first answers. */
  async #read(references: readonly string[]): Promise<void> {
    for (const reference of references) {
      const key = parseKeyReference(reference);
      if (key === undefined) throw new TypeError(`the schema let "${reference}" pass`);
      this.#keys.set(reference, key);
    }
    const followed = await this.#open();
    if (followed === undefined) return;
    this.#follow(followed);
    const keys = references.flatMap((reference) => this.#keys.get(reference) ?? []);
    if (this.#listener === undefined) await this.#awaitStart(followed, references, keys);
    else await within(reloadWaitMs, followed.answered(keys, true));
  }

  /** Undefined if there is no access. */
  async #open(): Promise<FollowedObjects | undefined> {
    if (this.#followed !== undefined) return this.#followed;
    const [{ FollowedObjects }, { openAccess }, { NoApiAccess }] = await Promise.all([
      import("./followed-objects.ts"),
      import("../../kubernetes/find-access.ts"),
      import("../../kubernetes/api-access.ts"),
    ]);
    const { env, log } = this.#options;
    const access = openAccess(env);
    if (access instanceof NoApiAccess) {
      this.#noAccess = access.message;
      return undefined;
    }
    this.#noAccess = undefined;
    this.#followed = new FollowedObjects({ access, log, onChange: (id) => this.#changed(id) });
    return this.#followed;
  }

  async #awaitStart(followed: FollowedObjects, references: readonly string[], keys: readonly KeyReference[]) {
    const { log } = this.#options;
    const isCached = references.every((reference) => this.#cachedValue(reference) !== undefined);
    const answered = followed.answered(keys, false);
    const end = this.#openedMs + (isCached ? waitWithCacheMs : waitMs);
    const endMs = Math.max(end, performance.now() + leastWaitMs);
    let pauseMs = firstWordMs;
    for (let leftMs = endMs - performance.now(); leftMs > 0; leftMs = endMs - performance.now()) {
      if (await within(Math.min(pauseMs, leftMs), answered)) return;
      pauseMs = nextWordMs;
      const missing = keys.filter((key) => !followed.hasAnswered(key));
      const waitingFor = missing.map(formatKeyReference);
      const forSeconds = Math.round((performance.now() - this.#openedMs) / 1_000);
      log.warn({ waitingFor, why: whyOf(followed, missing), forSeconds }, "waiting for the Kubernetes API");
    }
    const missing = keys.filter((key) => !followed.hasAnswered(key));
    if (isCached)
      log.warn({ why: whyOf(followed, missing) }, "the Kubernetes API does not answer: the cache is loaded");
  }

  #keepOnly(references: readonly string[]): void {
    const kept = new Set(references);
    for (const reference of this.#keys.keys()) {
      if (reference !== this.#config && !kept.has(reference)) this.#keys.delete(reference);
    }
    if (this.#followed !== undefined) this.#follow(this.#followed);
  }

  #follow(followed: FollowedObjects): void {
    const objects = new Map<string, DataObjectId>();
    for (const key of this.#keys.values()) {
      const name = `${key.kind} ${key.namespace} ${key.name}`;
      if (objects.size < this.#maxObjects) objects.set(name, key);
    }
    followed.follow(objects.values());
  }

  #valueOf(reference: string, key: KeyReference): KeyValue {
    const found = this.#followed?.valueOf(key, key.key) ?? this.#cachedValue(reference);
    if (found !== undefined) return found;
    const why = this.#followed?.follows(key) === false ? tooManyObjects(this.#maxObjects) : undefined;
    const trouble = this.#followed?.troubleOf(key) ?? "no answer";
    return {
      kind: "missing",
      why: why ?? this.#noAccess ?? `the Kubernetes API does not give it: ${trouble}`,
    };
  }

  #cachedValue(reference: string): KeyValue | undefined {
    const { text, keys } = this.#cache.kept;
    const bytes = reference === this.#config && text !== undefined ? Buffer.from(text) : keys.get(reference);
    return bytes === undefined ? undefined : { kind: "found", bytes, resourceVersion: undefined };
  }

  #changed({ kind, namespace, name }: DataObjectId): void {
    const isOfObject = (key: KeyReference) => key.kind === kind && key.namespace === namespace && key.name === name;
    if (this.#listener !== undefined && this.#hasChanged(isOfObject)) this.#listener();
  }

  /** Whether one of these keys, as it was loaded, is another now. One that a load waits for has not been loaded. */
  #hasChanged(isMeant: (key: KeyReference) => boolean): boolean {
    return Array.from(this.#taken).some(([reference, before]) => {
      const key = this.#keys.get(reference);
      if (key === undefined || !isMeant(key)) return false;
      return !isSame(before, this.#valueOf(reference, key), reference === this.#config);
    });
  }
}

/** Objects change often without their data. Of the configuration itself, the version is reported. */
function isSame(one: KeyValue, other: KeyValue, withVersion: boolean): boolean {
  if (one.kind === "missing" || other.kind === "missing") {
    return one.kind === other.kind && "why" in one && "why" in other && one.why === other.why;
  }
  if (withVersion && one.resourceVersion !== other.resourceVersion) return false;
  return Buffer.compare(one.bytes, other.bytes) === 0;
}

function whyOf(followed: FollowedObjects, keys: readonly DataObjectId[]): string {
  return keys.map((key) => followed.troubleOf(key)).find((why) => why !== undefined) ?? "no answer yet";
}
