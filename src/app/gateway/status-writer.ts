import { isDeepStrictEqual } from "node:util";
import type { WantedStatus } from "../../config/import/live-gateway/statuses.ts";
import { isMap, type Loose } from "../../config/import/source-object.ts";
import type { ApiClient } from "../../kubernetes/api-client.ts";
import { isConflict, isMissing } from "../../kubernetes/named-object.ts";
import { ContestedStatuses } from "./contested-statuses.ts";
import { objectPath, type WatchedObject } from "./gateway-watches.ts";

/** A status that others change at the same time is tried again so often. */
const maxTries = 5;
const maxInFlight = 8;
/** When statuses that could not be written are tried again. */
const retryMs = 10_000;

export interface StatusWriterOptions {
  readonly client: ApiClient;
  /** For the times in conditions. */
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  /** A status that cannot be written. */
  readonly onFailure: (object: string, why: string) => void;
}

/** Writes statuses where they differ from what stands there. */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #closed = new AbortController();
  readonly #contested: ContestedStatuses;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#contested = new ContestedStatuses(options.monotonicMs);
  }

  /**
   * Resolves with the milliseconds after which the rest is to be tried again; undefined: all is written. `find`: the object
   * as it was seen last.
   */
  async write(
    wanted: readonly WantedStatus[],
    find: (status: WantedStatus) => WatchedObject | undefined,
  ): Promise<number | undefined> {
    const queue = [...wanted];
    let againMs = Number.POSITIVE_INFINITY;
    this.#contested.forgetOld();
    const work = async () => {
      for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
        const object = find(one);
        if (object !== undefined) againMs = Math.min(againMs, await this.#writeOne(one, object));
      }
    };
    await Promise.all(Array.from({ length: maxInFlight }, work));
    return againMs === Number.POSITIVE_INFINITY ? undefined : againMs;
  }

  close(): void {
    this.#closed.abort();
  }

  /** Resolves with the milliseconds after which it is to be tried again; infinite: it says what it is to say. */
  async #writeOne(wanted: WantedStatus, seen: WatchedObject): Promise<number> {
    const { client, nowMs, onFailure } = this.#options;
    const { signal } = this.#closed;
    const path = objectPath(seen);
    const name = `${wanted.kind} ${wanted.namespace}/${wanted.name}`;
    // One that is made anew is another object.
    const key = `${name} ${seen.metadata.uid ?? ""}`;
    let object = seen;
    try {
      for (let tries = 1; ; tries++) {
        const before: Loose = isMap(object["status"]) ? object["status"] : {};
        const status = wanted.merge(before, nowMs());
        if (isDeepStrictEqual(status, before)) return Number.POSITIVE_INFINITY;
        // Ours alone, without times.
        const content = JSON.stringify(wanted.merge({}, 0));
        const waitMs = this.#contested.waitMs(key, content);
        if (waitMs > 0) return waitMs;
        try {
          await client.replace(`${path}/status`, { ...object, status } as WatchedObject, signal);
          this.#contested.written(key, content);
          return Number.POSITIVE_INFINITY;
        } catch (error) {
          if (!isConflict(error) || tries >= maxTries) throw error;
        }
        object = (await client.get(path, {}, signal)) as WatchedObject;
      }
    } catch (error) {
      if (signal.aborted || isMissing(error)) return Number.POSITIVE_INFINITY;
      onFailure(name, error instanceof Error ? error.message : String(error));
      return retryMs;
    }
  }
}
