import { isDeepStrictEqual } from "node:util";
import type { WantedStatus } from "../../config/import/live-gateway/statuses.ts";
import { isMap, type Loose } from "../../config/import/source-object.ts";
import type { ApiClient } from "../../kubernetes/api-client.ts";
import { isConflict, isMissing } from "../../kubernetes/named-object.ts";
import { objectPath, type WatchedObject } from "./gateway-watches.ts";

/** A status that others change at the same time is tried again so often. */
const maxTries = 5;
const maxInFlight = 8;

export interface StatusWriterOptions {
  readonly client: ApiClient;
  readonly nowMs: () => number;
  /** A status that cannot be written. It is tried again with the next change, or by `retry`. */
  readonly onFailure: (object: string, why: string) => void;
}

/** Writes statuses where they differ from what stands there. */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #closed = new AbortController();

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /** Resolves with whether all could be written. `find`: the object as it was seen last. */
  async write(
    wanted: readonly WantedStatus[],
    find: (status: WantedStatus) => WatchedObject | undefined,
  ): Promise<boolean> {
    const queue = [...wanted];
    let isComplete = true;
    const work = async () => {
      for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
        const object = find(one);
        if (object !== undefined && !(await this.#writeOne(one, object))) isComplete = false;
      }
    };
    await Promise.all(Array.from({ length: maxInFlight }, work));
    return isComplete;
  }

  close(): void {
    this.#closed.abort();
  }

  async #writeOne(wanted: WantedStatus, seen: WatchedObject): Promise<boolean> {
    const { client, nowMs, onFailure } = this.#options;
    const { signal } = this.#closed;
    const path = objectPath(seen);
    let object = seen;
    try {
      for (let tries = 1; ; tries++) {
        const before: Loose = isMap(object["status"]) ? object["status"] : {};
        const status = wanted.merge(before, nowMs());
        if (isDeepStrictEqual(status, before)) return true;
        try {
          await client.replace(`${path}/status`, { ...object, status } as WatchedObject, signal);
          return true;
        } catch (error) {
          if (!isConflict(error) || tries >= maxTries) throw error;
        }
        object = (await client.get(path, {}, signal)) as WatchedObject;
      }
    } catch (error) {
      if (signal.aborted || isMissing(error)) return true;
      onFailure(
        `${wanted.kind} ${wanted.namespace}/${wanted.name}`,
        error instanceof Error ? error.message : String(error),
      );
      return false;
    }
  }
}
