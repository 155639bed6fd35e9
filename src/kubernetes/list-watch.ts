import type { RandomFraction, Timers } from "../upstream/clock.ts";
import { type ApiClient, ApiError, type ApiObject } from "./api-client.ts";

export interface ListWatchOptions<T extends ApiObject> {
  readonly client: ApiClient;
  /** Of the collection, such as `/api/v1/namespaces/shop/configmaps`. */
  readonly path: string;
  /** Which of its objects, such as `metadata.name=perch`. Default: all. */
  readonly fieldSelector?: string;
  /** The same by labels, such as `app=perch`. */
  readonly labelSelector?: string;
  readonly timers: Timers;
  readonly randomFraction: RandomFraction;
  /** Called with all objects, by `namespace/name`, after each list and each change. The map changes afterwards. */
  readonly onObjects: (objects: ReadonlyMap<string, T>) => void;
  /**
   * Called with the cause of each failure in a row, and with undefined when the API answers again. `status`: of its
   * answer; 404: it has no such collection.
   */
  readonly onTrouble: (why: string | undefined, status?: number) => void;
  /** After how long a watch that the API has not ended counts as broken, in milliseconds. Default: 70 s. */
  readonly watchWithinMs?: number;
}

/** How many objects one answer may have, and how many answers one list: far more than a cluster has of a kind. */
const pageSize = 500;
const maxPages = 1_000;

/**
 * A watch is renewed this often, so that one that hangs is noticed. Each renewal costs the API one request, and nothing
 * else: it goes on from the version that is known.
 */
const watchSeconds = 60;
const watchEndsWithinMs = (watchSeconds + 10) * 1_000;
const shortWatchMs = 1_000;

/** So many lists in a row may grow too old before their last page. */
const quietExpiries = 3;

/** The first pause after a failure, doubled for each further one up to the longest; each half by chance. */
const firstPauseMs = 250;
const longestPauseMs = 15_000;

/**
 * Follows a collection of the Kubernetes API: lists its objects in pages, then watches from the list's version on, and
 * lists again when the API no longer knows that version (410). Failures are tried again without end; the objects known so
 * far stay.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
export class ListWatch<T extends ApiObject> {
  readonly #options: ListWatchOptions<T>;
  readonly #closed = new AbortController();
  readonly #running: Promise<void>;
  #objects = new Map<string, T>();
  /** What the next watch goes on from; undefined: a list comes first. */
  #version: string | undefined;
  /** Since the API last answered. */
  #failures = 0;
  #answeredAtMs: number | undefined;
  #isTroubled = false;

  constructor(options: ListWatchOptions<T>) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** When the API last said something, by the wall clock: while all is well, at most a minute ago. */
  get answeredAtMs(): number | undefined {
    return this.#answeredAtMs;
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        this.#version ??= await this.#list();
        // An API server that ends each watch at once must not be asked without a pause.
        if ((await this.#watch(this.#version)) < shortWatchMs) await this.#pause(0);
      } catch (error) {
        if (signal.aborted) return;
        const cause = error instanceof ApiError ? error : new ApiError(String(error));
        // Too old, after which only a list helps: nothing is wrong with the API, unless lists grow too old themselves.
        if (cause.status === 410) this.#version = undefined;
        if (cause.status !== 410 || this.#failures >= quietExpiries) this.#troubled(cause);
        this.#failures++;
        await this.#pause(cause.retryAfterMs ?? 0);
      }
    }
  }

  async #list(): Promise<string> {
    const { client, path } = this.#options;
    const found = new Map<string, T>();
    let version: string;
    let token = "";
    const tokens = new Set<string>();
    do {
      if (tokens.has(token)) throw new ApiError("the list does not end: it goes on from where it was before");
      if (tokens.size === maxPages) throw new ApiError(`the list does not end: it has more than ${maxPages} pages`);
      tokens.add(token);
      const query = { ...this.#selectors(), limit: String(pageSize), continue: token };
      const page = (await client.get(path, query, this.#closed.signal)) as ListPage<T>;
      for (const object of page.items ?? []) found.set(keyOf(object), object);
      version = page.metadata.resourceVersion;
      token = page.metadata.continue ?? "";
    } while (token !== "");
    this.#objects = found;
    this.#answered();
    this.#options.onObjects(found);
    return version;
  }

  /** Until the API ends it: after how many milliseconds. Rejects when it fails. */
  async #watch(from: string): Promise<number> {
    const { client, path, timers, watchWithinMs = watchEndsWithinMs } = this.#options;
    const { signal } = this.#closed;
    const beganMs = timers.monotonicMs();
    const query = {
      ...this.#selectors(),
      resourceVersion: from,
      allowWatchBookmarks: "true",
      timeoutSeconds: String(watchSeconds),
    };
    for await (const event of client.events(path, query, watchWithinMs, signal, () => this.#reached())) {
      const { type, object } = event as WatchEvent<T>;
      if (type === "ERROR") throw new ApiError(object.message ?? "the watch failed", object.code);
      this.#version = object.metadata.resourceVersion;
      this.#answered();
      if (type === "BOOKMARK") continue;
      if (type === "DELETED") this.#objects.delete(keyOf(object));
      else this.#objects.set(keyOf(object), object);
      this.#options.onObjects(this.#objects);
    }
    this.#answered();
    return timers.monotonicMs() - beganMs;
  }

  #selectors(): { readonly fieldSelector: string; readonly labelSelector: string } {
    const { fieldSelector = "", labelSelector = "" } = this.#options;
    return { fieldSelector, labelSelector };
  }

  #troubled({ message, status }: ApiError): void {
    this.#isTroubled = true;
    this.#options.onTrouble(message, status);
  }

  #answered(): void {
    this.#failures = 0;
    this.#reached();
  }

  /** The API is there. Whether a watch lasts is another matter, so pauses stay as long as they have become. */
  #reached(): void {
    this.#answeredAtMs = this.#options.timers.nowMs();
    if (!this.#isTroubled) return;
    this.#isTroubled = false;
    this.#options.onTrouble(undefined);
  }

  async #pause(atLeastMs: number): Promise<void> {
    const { timers, randomFraction } = this.#options;
    const { signal } = this.#closed;
    const fullMs = Math.min(firstPauseMs * 2 ** Math.max(this.#failures - 1, 0), longestPauseMs);
    const pauseMs = Math.max(Math.min(atLeastMs, longestPauseMs), fullMs * (0.5 + randomFraction() / 2));
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => resolve();
    const cancel = timers.schedule(pauseMs, end);
    signal.addEventListener("abort", end);
    await promise;
    signal.removeEventListener("abort", end);
    cancel();
  }
}

/** The body of an answer to a list. */
export interface ListPage<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  /** Null where Go's encoder had no items. */
  readonly items?: readonly T[] | null;
}

/** Of type ERROR, the object is a `Status`. */
type WatchEvent<T> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"; readonly object: T }
  | { readonly type: "ERROR"; readonly object: { readonly code?: number; readonly message?: string } };

function keyOf({ metadata: { namespace = "", name } }: ApiObject): string {
  return `${namespace}/${name}`;
}
