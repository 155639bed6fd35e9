import type { ApiAccess } from "../../kubernetes/api-access.ts";
import { ApiClient } from "../../kubernetes/api-client.ts";
import {
  type DataObject,
  type DataObjectId,
  DataObjectWatch,
  type KeyValue,
  titleOf,
  valueIn,
} from "../../kubernetes/data-object.ts";
import type { Logger } from "../../observe/log.ts";
import { systemTimers } from "../system-timers.ts";

export interface FollowedObjectsOptions {
  /** Closed in the end. */
  readonly access: ApiAccess;
  readonly log: Logger;
  /** Called after each change of an object, the first answer included. */
  readonly onChange: (id: DataObjectId) => void;
}

interface Followed {
  readonly watch: DataObjectWatch;
  /** Fulfilled by the API's first answer, and by that or its first failure. */
  readonly answered: PromiseWithResolvers<void>;
  readonly settled: PromiseWithResolvers<void>;
  hasAnswered: boolean;
  object: DataObject | undefined;
  /** Why the API does not give it now. */
  trouble: string | undefined;
  hasToldTrouble: boolean;
}

/** ConfigMaps and Secrets that are followed by the Kubernetes API, each by a watch of its own. */
export class FollowedObjects {
  readonly #options: FollowedObjectsOptions;
  readonly #client: ApiClient;
  readonly #followed = new Map<string, Followed>();
  #ending: Promise<unknown> = Promise.resolve();

  constructor(options: FollowedObjectsOptions) {
    this.#options = options;
    this.#client = new ApiClient(options.access);
  }

  /** Follows these, and no others. */
  follow(ids: Iterable<DataObjectId>): void {
    const wanted = new Map(Array.from(ids, (id) => [titleOf(id), id]));
    for (const [title, { watch }] of this.#followed) {
      if (wanted.has(title)) continue;
      this.#followed.delete(title);
      this.#ending = Promise.all([this.#ending, watch.close()]);
    }
    for (const [title, id] of wanted) if (!this.#followed.has(title)) this.#start(title, id);
  }

  follows(id: DataObjectId): boolean {
    return this.#followed.has(titleOf(id));
  }

  /** Whether the API has said what it is, or that it does not exist. */
  hasAnswered(id: DataObjectId): boolean {
    return this.#followed.get(titleOf(id))?.hasAnswered === true;
  }

  /** What the API last said of a key of it; undefined: nothing yet. */
  valueOf(id: DataObjectId, key: string): KeyValue | undefined {
    const followed = this.#followed.get(titleOf(id));
    return followed?.hasAnswered === true ? valueIn(followed.object, id, key) : undefined;
  }

  /** Why the API does not give it now; undefined: it does, or has not been heard of. */
  troubleOf(id: DataObjectId): string | undefined {
    return this.#followed.get(titleOf(id))?.trouble;
  }

  /** Resolves once the API has answered for each, or, if `orFailed`, has failed to. */
  async answered(ids: readonly DataObjectId[], orFailed: boolean): Promise<void> {
    const followed = ids.flatMap((id) => this.#followed.get(titleOf(id)) ?? []);
    await Promise.all(followed.map(({ answered, settled }) => (orFailed ? settled : answered).promise));
  }

  async close(): Promise<void> {
    this.follow([]);
    await this.#ending;
    await this.#options.access.close();
  }

  #start(title: string, id: DataObjectId): void {
    const watch = new DataObjectWatch({
      client: this.#client,
      id,
      timers: systemTimers,
      randomFraction: Math.random,
      onObject: (object) => {
        followed.object = object;
        followed.hasAnswered = true;
        followed.answered.resolve();
        followed.settled.resolve();
        // A watch that has ended may still hold an event.
        if (this.#followed.get(title) === followed) this.#options.onChange(id);
      },
      onTrouble: (why) => this.#troubled(title, followed, why),
    });
    const followed: Followed = {
      watch,
      answered: Promise.withResolvers(),
      settled: Promise.withResolvers(),
      hasAnswered: false,
      object: undefined,
      trouble: undefined,
      hasToldTrouble: false,
    };
    this.#followed.set(title, followed);
  }

  /** One line when the API stops to give an object, and one when it does again; not for each one with the same cause. */
  #troubled(title: string, followed: Followed, why: string | undefined): void {
    const { log } = this.#options;
    if (why === undefined) {
      if (followed.hasToldTrouble) log.info({ object: title }, "the Kubernetes API answers again");
      followed.hasToldTrouble = false;
    } else if (followed.trouble === undefined) {
      const isKnown = Array.from(this.#followed.values()).some(({ trouble }) => trouble === why);
      if (!isKnown) log.warn({ object: title, why }, "the Kubernetes API does not answer: what is known stays");
      followed.hasToldTrouble = !isKnown;
    }
    followed.trouble = why;
    if (why !== undefined) followed.settled.resolve();
  }
}
