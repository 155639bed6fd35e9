import type { NotifySpec } from "../../decide/rollout-spec.ts";
import type { RolloutEvent } from "../rollout-state.ts";
import { type NotifierParts, type NotifyCounts, NotifyQueue } from "./notify-queue.ts";
import { Poster } from "./post.ts";

const limitMs = 5_000;

/**
 * Tells others of events: to each URL in the order of the events, one at a time, tried again for about ten minutes. A
 * target that is down delays no other one, and nothing that Perch does.
 */
export class Notifier {
  readonly counts: Readonly<NotifyCounts>;
  readonly #counts: NotifyCounts = { delivered: 0, failed: 0, dropped: 0 };
  readonly #parts: NotifierParts;
  readonly #poster: Poster;
  /** By URL; those with something to deliver. */
  readonly #queues = new Map<string, NotifyQueue>();
  #isClosed = false;

  constructor(parts: NotifierParts) {
    this.counts = this.#counts;
    this.#parts = parts;
    this.#poster = new Poster(parts.schedule, limitMs);
  }

  /** Neither waits nor throws. */
  notify(targets: readonly NotifySpec[], event: RolloutEvent): void {
    if (this.#isClosed || targets.length === 0) return;
    const body = JSON.stringify(event);
    for (const target of targets) this.#queueOf(target.url).add(target, body);
  }

  /** Gives up what is not delivered. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const queue of this.#queues.values()) queue.stop();
    await this.#poster.close();
  }

  #queueOf(url: string): NotifyQueue {
    const known = this.#queues.get(url);
    if (known !== undefined) return known;
    const queue: NotifyQueue = new NotifyQueue({
      ...this.#parts,
      poster: this.#poster,
      counts: this.#counts,
      emptied: () => this.#queues.delete(url),
    });
    this.#queues.set(url, queue);
    return queue;
  }
}
