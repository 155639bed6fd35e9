import type { OverloadCause } from "../observe/upstream-stats.ts";
import type { ConcurrencyLimiter, Waiter } from "../upstream/concurrency-limiter.ts";
import type { ServiceVersion } from "./service.ts";

/** A request that may have to wait for a permit. */
export interface PermitWaiter {
  /** The queued permit was granted or refused; call `Attempts.next`. May be called while another request ends. */
  onPermit(): void;
}

/** A request's permit from the concurrency limiter of one version. */
export class Permit implements Waiter {
  readonly #limiter: ConcurrencyLimiter;
  readonly #version: ServiceVersion;
  readonly #waiter: PermitWaiter | undefined;
  state: "acquired" | "queued" | "refused" | "released" = "acquired";
  /** Why it was refused; undefined if it was not. */
  refusedFor: OverloadCause | undefined;

  private constructor(version: ServiceVersion, limiter: ConcurrencyLimiter, waiter: PermitWaiter | undefined) {
    this.#limiter = limiter;
    this.#version = version;
    this.#waiter = waiter;
  }

  /** Acquired at once, queued until `onPermit` is called, or refused. */
  static acquire(version: ServiceVersion, limiter: ConcurrencyLimiter, waiter: PermitWaiter): Permit {
    const permit = new Permit(version, limiter, waiter);
    const outcome = limiter.acquire(permit);
    if (outcome === "full") permit.#refuse("queue-full");
    else permit.state = outcome;
    if (outcome === "queued") version.stats.pending.value++;
    return permit;
  }

  /** Undefined if the request would have to queue. */
  static tryAcquire(version: ServiceVersion, limiter: ConcurrencyLimiter): Permit | undefined {
    return limiter.tryAcquire() ? new Permit(version, limiter, undefined) : undefined;
  }

  admitted(): void {
    this.#version.stats.pending.value--;
    this.state = "acquired";
    this.#waiter?.onPermit();
  }

  expired(): void {
    this.#version.stats.pending.value--;
    this.#refuse("queue-timeout");
    this.#waiter?.onPermit();
  }

  #refuse(cause: OverloadCause): void {
    this.#version.stats.overload(cause);
    this.state = "refused";
    this.refusedFor = cause;
  }

  /** Idempotent. */
  release(): void {
    const { state } = this;
    this.state = "released";
    if (state === "acquired") this.#limiter.release();
    if (state !== "queued") return;
    this.#version.stats.pending.value--;
    this.#limiter.cancel(this);
  }
}
