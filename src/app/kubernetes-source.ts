import { readFile } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import { type ApiAccess, NoApiAccess } from "../kubernetes/api-access.ts";
import { ApiClient } from "../kubernetes/api-client.ts";
import { ConfigObject, type ConfigText } from "../kubernetes/config-object.ts";
import { type ConfigReference, formatConfigReference } from "../kubernetes/config-reference.ts";
import type { Logger } from "../observe/log.ts";
import { replaceFile } from "../rollout/state/replace-file.ts";
import { scheduleUnref } from "../upstream/clock.ts";
import type { LoadableSource } from "./config-source.ts";
import { StartError } from "./data-plane.ts";
import { accessFrom } from "./kubernetes-access.ts";

export interface KubernetesSourceOptions {
  readonly reference: ConfigReference;
  /** Where the last good configuration is kept for a start without the API; undefined: nowhere. */
  readonly cacheFile: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
}

/** How long a start waits for the API where there is a cached configuration, and where there is none. */
const waitWithCacheMs = 3_000;
const waitMs = 30_000;

/** The configuration in a ConfigMap or Secret, followed by the Kubernetes API. */
export class KubernetesSource {
  readonly #name: string;
  readonly #cacheFile: string | undefined;
  readonly #log: Logger;
  /** For others who ask the API while this is open. */
  readonly access: ApiAccess;
  readonly #object: ConfigObject;
  readonly #first = Promise.withResolvers<void>();
  #current: ConfigText | undefined;
  /** What was loaded last. */
  #loaded: ConfigText | undefined;
  #trouble: string | undefined;
  #listener: (() => void) | undefined;
  #cached: string | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor({ reference, cacheFile, log }: KubernetesSourceOptions, access: ApiAccess) {
    this.#name = formatConfigReference(reference);
    this.#cacheFile = cacheFile;
    this.#log = log;
    this.access = access;
    this.#object = new ConfigObject({
      client: new ApiClient(access),
      reference,
      timers: { nowMs: () => Date.now(), monotonicMs: () => performance.now(), schedule: scheduleUnref },
      randomFraction: Math.random,
      onText: (text) => {
        this.#current = text;
        this.#first.resolve();
        this.#listener?.();
      },
      onTrouble: (why) => this.#told(why),
    });
  }

  /**
   * Resolves when there is something to load: of the API, or of the cache while the API does not answer. Rejects with a
   * `StartError` if there is neither, or no access to the API.
   */
  static async open(options: KubernetesSourceOptions): Promise<KubernetesSource> {
    const source = new KubernetesSource(options, accessOf(options));
    const cached = await source.#readCache();
    await within(cached === undefined ? waitMs : waitWithCacheMs, source.#first.promise);
    if (source.#current !== undefined) return source;
    const why = source.#trouble ?? "no answer";
    if (cached !== undefined) {
      options.log.warn({ cache: options.cacheFile, why }, "the Kubernetes API does not answer: the cache is loaded");
      source.#current = { kind: "found", text: cached, resourceVersion: undefined };
      return source;
    }
    await source.close();
    throw new StartError([`perch: ${source.#name} cannot be read from the Kubernetes API: ${why}`]);
  }

  /** What is to be loaded now, and counts as loaded from here on. */
  take(): LoadableSource {
    const current = this.#current ?? { kind: "missing", why: "it has not been read yet" };
    this.#loaded = current;
    if (current.kind === "missing") return { kind: "missing", name: this.#name, why: current.why };
    const { text, resourceVersion } = current;
    return { kind: "text", name: this.#name, text, resourceVersion };
  }

  /** Sets the listener for changes of the object. A change since it was loaded is reported at once. */
  onChange(listener: () => void): void {
    this.#listener = listener;
    if (this.#current !== this.#loaded) listener();
  }

  /** Keeps a configuration that has become active for a start without the API. */
  keep(text: string): void {
    const file = this.#cacheFile;
    if (file === undefined || text === this.#cached) return;
    this.#cached = text;
    this.#writing = this.#writing
      .then(() => replaceFile(file, text))
      .catch((error: Error) => {
        this.#cached = undefined;
        this.#log.error({ file, error: error.message }, "cannot write the configuration's cache");
      });
  }

  async close(): Promise<void> {
    await this.#object.close();
    await this.access.close();
    await this.#writing;
  }

  async #readCache(): Promise<string | undefined> {
    if (this.#cacheFile === undefined) return undefined;
    try {
      return await readFile(this.#cacheFile, "utf8");
    } catch {
      // The first start has none.
      return undefined;
    }
  }

  /** One line when the API stops answering, and one when it answers again. */
  #told(why: string | undefined): void {
    const isNew = (this.#trouble === undefined) !== (why === undefined);
    this.#trouble = why;
    if (!isNew) return;
    const source = this.#name;
    if (why === undefined) this.#log.info({ source }, "the Kubernetes API answers again");
    else this.#log.warn({ source, why }, "the Kubernetes API does not answer: the active configuration stays");
  }
}

function accessOf({ env, reference }: KubernetesSourceOptions): ApiAccess {
  try {
    return accessFrom(env);
  } catch (error) {
    if (!(error instanceof NoApiAccess)) throw error;
    throw new StartError([`perch: ${formatConfigReference(reference)} cannot be read: ${error.message}`]);
  }
}

/** Waits until the promise is fulfilled, but no longer than this. */
async function within(ms: number, awaited: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([awaited, promise]);
  clearTimeout(timer);
}
