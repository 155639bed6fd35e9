import type { ConcurrencyLimiter, Waiter } from "../upstream/concurrency-limiter.ts";
import type { ServiceVersion } from "./snapshot.ts";

/** The lane's side of a request that may have to wait for a place. */
export interface PermitWaiter {
  /** The wait is over, one way or the other: `next` tells. May be called while another request ends. */
  onPermit(): void;
}

/** A request's place within the limits of one version: waited for, held, and given back. */
export class Permit implements Waiter {
  readonly #gate: ConcurrencyLimiter;
  readonly #version: ServiceVersion;
  readonly #turn: PermitWaiter | undefined;
  state: "entered" | "waits" | "refused" | "left" = "entered";

  private constructor(version: ServiceVersion, gate: ConcurrencyLimiter, turn: PermitWaiter | undefined) {
    this.#gate = gate;
    this.#version = version;
    this.#turn = turn;
  }

  /** Enters, or waits until `turn` is called, or is refused. */
  static acquire(version: ServiceVersion, gate: ConcurrencyLimiter, turn: PermitWaiter): Permit {
    const admission = new Permit(version, gate, turn);
    const entry = gate.acquire(admission);
    admission.state = entry === "full" ? "refused" : entry;
    if (entry === "waits") version.cells.pending.value++;
    else if (entry === "full") version.cells.overload("queue-full");
    return admission;
  }

  /** Undefined where that would take waiting. */
  static tryAcquire(version: ServiceVersion, gate: ConcurrencyLimiter): Permit | undefined {
    return gate.tryAcquire() ? new Permit(version, gate, undefined) : undefined;
  }

  admitted(): void {
    this.#version.cells.pending.value--;
    this.state = "entered";
    this.#turn?.onPermit();
  }

  expired(): void {
    const { cells } = this.#version;
    cells.pending.value--;
    cells.overload("queue-timeout");
    this.state = "refused";
    this.#turn?.onPermit();
  }

  /** Safe to call again. */
  release(): void {
    const { state } = this;
    this.state = "left";
    if (state === "entered") this.#gate.release();
    if (state !== "waits") return;
    this.#version.cells.pending.value--;
    this.#gate.cancel(this);
  }
}
