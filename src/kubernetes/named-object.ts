import type { RandomFraction, Timers } from "../upstream/clock.ts";
import { type ApiClient, ApiError, type ApiObject } from "./api-client.ts";
import { ListWatch } from "./list-watch.ts";

export interface NamedObjectOptions<T extends ApiObject> {
  readonly client: ApiClient;
  readonly apiVersion: string;
  readonly kind: string;
  /** Of the collection, such as `configmaps`. */
  readonly plural: string;
  readonly namespace: string;
  readonly name: string;
  readonly timers: Timers;
  readonly randomFraction: RandomFraction;
  /** How long a request may take, in milliseconds. */
  readonly answerWithinMs: number;
  /** Called after each change; undefined: there is no such object. */
  readonly onObject: (object: T | undefined) => void;
  /** As of `ListWatch`. */
  readonly onTrouble: (why: string | undefined) => void;
}

/** What this program writes of an object. */
export interface NamedContent {
  readonly annotations: Readonly<Record<string, string>>;
  /** Fields beside the metadata. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** One object by its name: followed, read and written. Requests reject with an `ApiError`. */
export class NamedObject<T extends ApiObject> {
  readonly #options: NamedObjectOptions<T>;
  readonly #collection: string;
  readonly #watch: ListWatch<T>;
  readonly #closed = new AbortController();

  constructor(options: NamedObjectOptions<T>) {
    this.#options = options;
    const { client, apiVersion, plural, namespace, name, timers, randomFraction, onObject, onTrouble } = options;
    const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    this.#collection = `${root}/namespaces/${namespace}/${plural}`;
    this.#watch = new ListWatch<T>({
      ...{ client, timers, randomFraction, onTrouble },
      path: this.#collection,
      fieldSelector: `metadata.name=${name}`,
      onObjects: (objects) => onObject(objects.get(`${namespace}/${name}`)),
    });
  }

  get isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  /** As it is now; undefined: there is no such object. */
  async read(): Promise<T | undefined> {
    const { client, name } = this.#options;
    try {
      return (await client.get(`${this.#collection}/${name}`, {}, this.#signal())) as T;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /**
   * Writes it over what was read, which must not have changed since (409); undefined: there was none, and it is created.
   * Answers it as it is now.
   */
  async write(before: T | undefined, { annotations, fields }: NamedContent): Promise<T> {
    const { client, apiVersion, kind, namespace, name } = this.#options;
    if (before === undefined) {
      const created = { apiVersion, kind, metadata: { namespace, name, annotations }, ...fields };
      return (await client.create(this.#collection, created, this.#signal())) as T;
    }
    const metadata = { ...before.metadata, annotations: { ...before.metadata.annotations, ...annotations } };
    return (await client.replace(
      `${this.#collection}/${name}`,
      { ...before, ...fields, metadata },
      this.#signal(),
    )) as T;
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#watch.close();
  }

  #signal(): AbortSignal {
    return AbortSignal.any([this.#closed.signal, AbortSignal.timeout(this.#options.answerWithinMs)]);
  }
}

/** It has changed since it was read, or is there already. */
export const isConflict = (error: unknown): boolean => error instanceof ApiError && error.status === 409;
export const isMissing = (error: unknown): boolean => error instanceof ApiError && error.status === 404;
/** It was refused, or never sent: without an answer, and after one of a server that failed, it may have been done. */
export const isNotDone = ({ status, isSent }: ApiError): boolean => !isSent || (status !== undefined && status < 500);
