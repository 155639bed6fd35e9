import type { ConcurrencyLimiter, Waiter } from "../upstream/concurrency-limiter.ts";
import type { ServiceVersion } from "./service.ts";

/** The lane's side of a request that may have to wait for a place. */
export interface PermitWaiter {
  /** The wait is over, one way or the other: `next` tells. May be called while another request ends. */
  onPermit(): void;
}

/** A request's place within the limits of one version: waited for, held, and given back. */
export class Permit implements Waiter {
  readonly #limiter: ConcurrencyLimiter;
  readonly #version: ServiceVersion;
  readonly #turn: PermitWaiter | undefined;
  state: "entered" | "waits" | "refused" | "left" = "entered";

  private constructor(version: ServiceVersion, limiter: ConcurrencyLimiter, turn: PermitWaiter | undefined) {
    this.#limiter = limiter;
    this.#version = version;
    this.#turn = turn;
  }

  /** Enters, or waits until `turn` is called, or is refused. */
  static acquire(version: ServiceVersion, limiter: ConcurrencyLimiter, turn: PermitWaiter): Permit {
    const permit = new Permit(version, limiter, turn);
    const entry = limiter.acquire(permit);
    permit.state = entry === "full" ? "refused" : entry;
    if (entry === "waits") version.stats.pending.value++;
    else if (entry === "full") version.stats.overload("queue-full");
    return permit;
  }

  /** Undefined where that would take waiting. */
  static tryAcquire(version: ServiceVersion, limiter: ConcurrencyLimiter): Permit | undefined {
    return limiter.tryAcquire() ? new Permit(version, limiter, undefined) : undefined;
  }

  admitted(): void {
    this.#version.stats.pending.value--;
    this.state = "entered";
    this.#turn?.onPermit();
  }

  expired(): void {
    const { stats } = this.#version;
    stats.pending.value--;
    stats.overload("queue-timeout");
    this.state = "refused";
    this.#turn?.onPermit();
  }

  /** Safe to call again. */
  release(): void {
    const { state } = this;
    this.state = "left";
    if (state === "entered") this.#limiter.release();
    if (state !== "waits") return;
    this.#version.stats.pending.value--;
    this.#limiter.cancel(this);
  }
}
