import { isDeepStrictEqual } from "node:util";
import type { RandomFraction, Timers } from "../upstream/clock.ts";
import { type ApiClient, ApiError, type ApiObject } from "./api-client.ts";
import { ListWatch } from "./list-watch.ts";

export interface ConfigMapContent {
  readonly data: Readonly<Record<string, string>>;
  readonly binaryData: Readonly<Record<string, Uint8Array>>;
}

export interface FencedConfigMapOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly name: string;
  readonly timers: Timers;
  readonly randomFraction: RandomFraction;
  /** Called with each content that is seen, and the term of who wrote it; undefined: there is no such ConfigMap. */
  readonly onContent: (content: ConfigMapContent | undefined, term: string | undefined) => void;
  /** As of `ListWatch`. */
  readonly onTrouble: (why: string | undefined) => void;
}

/** What a ConfigMap may hold (1 MiB), with some of it left for its metadata. */
export const maxContentBytes = 1_000_000;
const termAnnotation = "perch.dev/term";
const answerWithinMs = 5_000;
/** Of attempts of a takeover, while the one before still writes. */
const maxAttempts = 5;

/**
 * A ConfigMap that one process writes at a time and all read. Who takes it over first writes its term into it; from then on
 * the API refuses whatever the one before still sends, since that names an older version of the object (409).
 */
export class FencedConfigMap {
  readonly #options: FencedConfigMapOptions;
  readonly #watch: ListWatch<ConfigMap>;
  readonly #closed = new AbortController();
  /** As this process wrote it last; undefined: it may not write. */
  #own: { readonly term: string; readonly object: ConfigMap } | undefined;
  #seenVersion: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: FencedConfigMapOptions) {
    this.#options = options;
    const { client, namespace, name, timers, randomFraction, onTrouble } = options;
    this.#watch = new ListWatch({
      ...{ client, timers, randomFraction, onTrouble },
      path: collectionOf(namespace),
      fieldSelector: `metadata.name=${name}`,
      onObjects: (objects) => this.#see(objects.get(`${namespace}/${name}`)),
    });
  }

  /**
   * Keeps all others from writing, and returns what they wrote last. Rejects with an `ApiError`, after which this process
   * may not write either.
   */
  takeOver(term: string): Promise<ConfigMapContent> {
    return this.#inTurn(() => this.#takeOver(term));
  }

  /** Whether it was written; false: another has taken it over, or it is gone. Rejects if it cannot be told. */
  save(content: ConfigMapContent): Promise<boolean> {
    return this.#inTurn(() => this.#save(content));
  }

  /** This process does not write any more. */
  handOver(): void {
    this.#own = undefined;
  }

  async #takeOver(term: string): Promise<ConfigMapContent> {
    this.#own = undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        const object = await this.#read();
        this.#own = { term, object: await this.#write(object, contentOf(object), term) };
        return contentOf(object);
      } catch (error) {
        if (!isConflict(error) || attempt === maxAttempts) throw error;
      }
    }
  }

  async #save(content: ConfigMapContent): Promise<boolean> {
    for (let attempt = 1; this.#own !== undefined; attempt++) {
      const { term, object } = this.#own;
      const refusal = await this.#replaced(object, content, term);
      if (refusal === undefined) return true;
      // Of a write without an answer nobody knows whether it was done; a conflict may be with such a one.
      const now = await this.#read();
      if (now !== undefined && termIn(now) === term) {
        this.#own = { term, object: now };
        if (isSame(now, content)) return true;
        if (isConflict(refusal) && attempt < maxAttempts) continue;
        throw refusal;
      }
      this.#own = undefined;
    }
    return false;
  }

  /** Undefined: done. */
  async #replaced(before: ConfigMap, content: ConfigMapContent, term: string): Promise<unknown> {
    try {
      this.#own = { term, object: await this.#write(before, content, term) };
      return undefined;
    } catch (error) {
      return error;
    }
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }

  async close(): Promise<void> {
    this.#own = undefined;
    this.#closed.abort();
    await this.#watch.close();
  }

  #see(object: ConfigMap | undefined): void {
    const version = object?.metadata.resourceVersion;
    if (version !== undefined && version === this.#seenVersion) return;
    this.#seenVersion = version;
    this.#options.onContent(object && contentOf(object), object && termIn(object));
  }

  async #read(): Promise<ConfigMap | undefined> {
    const { client, namespace, name } = this.#options;
    try {
      return (await client.get(`${collectionOf(namespace)}/${name}`, {}, this.#signal())) as ConfigMap;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async #write(before: ConfigMap | undefined, content: ConfigMapContent, term: string): Promise<ConfigMap> {
    const { client, namespace, name } = this.#options;
    const path = collectionOf(namespace);
    const annotations = { ...before?.metadata.annotations, [termAnnotation]: term };
    const filled = { data: content.data, binaryData: encoded(content.binaryData) };
    if (before === undefined) {
      const created = { ...named, metadata: { namespace, name, annotations }, ...filled };
      return (await client.create(path, created, this.#signal())) as ConfigMap;
    }
    const replaced: ConfigMap = { ...before, ...filled, metadata: { ...before.metadata, annotations } };
    return (await client.replace(`${path}/${name}`, replaced, this.#signal())) as ConfigMap;
  }

  #signal(): AbortSignal {
    return AbortSignal.any([this.#closed.signal, AbortSignal.timeout(answerWithinMs)]);
  }
}

const named = { apiVersion: "v1", kind: "ConfigMap" } as const;
const collectionOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps`;

interface ConfigMap extends ApiObject {
  readonly metadata: ApiObject["metadata"] & { readonly annotations?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  /** As base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
}

function contentOf(object: ConfigMap | undefined): ConfigMapContent {
  const bytes = Object.entries(object?.binaryData ?? {}).map(([key, base64]): [string, Uint8Array] => [
    key,
    Buffer.from(base64, "base64"),
  ]);
  return { data: object?.data ?? {}, binaryData: Object.fromEntries(bytes) };
}

const termIn = ({ metadata }: ConfigMap): string | undefined => metadata.annotations?.[termAnnotation];

/** Whether it has what was to be written. */
function isSame(object: ConfigMap, content: ConfigMapContent): boolean {
  return isDeepStrictEqual(
    { data: object.data ?? {}, binaryData: object.binaryData ?? {} },
    { data: content.data, binaryData: encoded(content.binaryData) },
  );
}

function encoded(binaryData: ConfigMapContent["binaryData"]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(binaryData).map(([key, bytes]) => [key, Buffer.from(bytes).toString("base64")]),
  );
}

const isConflict = (error: unknown): boolean => error instanceof ApiError && error.status === 409;
