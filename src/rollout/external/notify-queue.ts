import { createHash, createHmac } from "node:crypto";
import type { NotifySpec } from "../../decide/rollout-spec.ts";
import type { Logger } from "../../observe/log.ts";
import type { RandomFraction, Schedule } from "../../upstream/clock.ts";
import type { Post, Posted, Poster } from "./post.ts";

export interface NotifierParts {
  readonly log: Logger;
  readonly nowMs: () => number;
  readonly schedule: Schedule;
  readonly randomFraction: RandomFraction;
}

/** What became of the notifications since the process started. */
export interface NotifyCounts {
  delivered: number;
  /** The target refused them, or answered nothing for too long. */
  failed: number;
  /** Newer ones took their place in the queue. */
  dropped: number;
}

export interface NotifyQueueParts extends NotifierParts {
  readonly poster: Poster;
  readonly counts: NotifyCounts;
  /** Nothing is left to deliver: the queue may be forgotten. */
  readonly emptied: () => void;
}

/** A rollout has a few dozen events. */
const maxWaiting = 100;
const firstRetryMs = 1_000;
const maxRetryMs = 60_000;
/** Waits for one notification, summed up, after which it is given up. */
const maxWaitMs = 600_000;
/** Besides 5xx: the target may accept the same notification later. */
const retryable: ReadonlySet<number> = new Set([408, 425, 429]);

/** The notifications for one URL, oldest first. */
export class NotifyQueue {
  readonly #parts: NotifyQueueParts;
  #waiting: string[] = [];
  /** As last configured: a secret that is replaced signs from the next try on. */
  #target: NotifySpec = { url: "", secrets: [] };
  #isRunning = false;
  #isStopped = false;
  #wake: () => void = () => {};

  constructor(parts: NotifyQueueParts) {
    this.#parts = parts;
  }

  add(target: NotifySpec, body: string): void {
    this.#target = target;
    this.#waiting.push(body);
    if (this.#waiting.length > maxWaiting) {
      this.#waiting.shift();
      this.#parts.counts.dropped++;
      this.#warn("the queue of notifications is full", "a rollout's notification was dropped");
    }
    if (!this.#isRunning) void this.#run();
  }

  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
    this.#wake();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let body = this.#waiting.shift(); body !== undefined; body = this.#waiting.shift()) await this.#deliver(body);
    this.#isRunning = false;
    this.#parts.emptied();
  }

  async #deliver(body: string): Promise<void> {
    const { poster, counts } = this.#parts;
    let waitedMs = 0;
    for (let retries = 0; !this.#isStopped; retries++) {
      const outcome = outcomeOf(await poster.post(this.#post(body)));
      if (this.#isStopped) return;
      if (outcome.kind === "delivered") {
        counts.delivered++;
        return;
      }
      if (outcome.kind === "refused" || waitedMs >= maxWaitMs) {
        counts.failed++;
        this.#warn(outcome.why, "a rollout's notification could not be delivered");
        return;
      }
      if (retries === 0) this.#warn(outcome.why, "a rollout's notification will be retried");
      // Half of the wait is random, so that the replicas of a target that comes back are not asked all at once.
      const waitMs = Math.min(firstRetryMs * 2 ** retries, maxRetryMs) * (1 + this.#parts.randomFraction()) * 0.5;
      waitedMs += waitMs;
      await this.#rest(waitMs);
    }
  }

  #post(body: string): Post {
    const { url, secrets } = this.#target;
    // Signed again for each try: receivers reject old timestamps, so that a notification cannot be replayed later.
    const timestamp = String(Math.floor(this.#parts.nowMs() / 1000));
    const [secret] = secrets;
    const signature = secret && `v1=${createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest("hex")}`;
    const headers = {
      "content-type": "application/json",
      "x-perch-timestamp": timestamp,
      "idempotency-key": idempotencyKey(body),
      ...(signature === undefined ? {} : { "x-perch-signature": signature }),
    };
    return { url, headers, body };
  }

  async #rest(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const cancel = this.#parts.schedule(ms, resolve);
    await promise;
    cancel();
  }

  #warn(why: string, message: string): void {
    // Paths of hooks are often secrets.
    const to = URL.canParse(this.#target.url) ? new URL(this.#target.url).origin : "an invalid URL";
    this.#parts.log.warn({ to, why }, message);
  }
}

type Outcome =
  | { readonly kind: "delivered" }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "later"; readonly why: string };

function outcomeOf(posted: Posted): Outcome {
  if (posted.kind === "failed") return { kind: "later", why: posted.why };
  const { status } = posted;
  if (status >= 200 && status < 300) return { kind: "delivered" };
  const why = `it answered ${status}`;
  return { kind: status >= 500 || retryable.has(status) ? "later" : "refused", why };
}

/** The same at each try. An event's number is not: without a state file numbers begin anew with the process. */
function idempotencyKey(body: string): string {
  return createHash("sha256").update(body).digest("hex");
}
