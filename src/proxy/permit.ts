import type { VersionGate, Waiter } from "../upstream/concurrency-limiter.ts";
import type { ServiceVersion } from "./snapshot.ts";

/** The lane's side of a request that may have to wait for a place. */
export interface Turn {
  /** The wait is over, one way or the other: `next` tells. May be called while another request ends. */
  onTurn(): void;
}

/** A request's place within the limits of one version: waited for, held, and given back. */
export class Admission implements Waiter {
  readonly #gate: VersionGate;
  readonly #version: ServiceVersion;
  readonly #turn: Turn | undefined;
  state: "entered" | "waits" | "refused" | "left" = "entered";

  private constructor(version: ServiceVersion, gate: VersionGate, turn: Turn | undefined) {
    this.#gate = gate;
    this.#version = version;
    this.#turn = turn;
  }

  /** Enters, or waits until `turn` is called, or is refused. */
  static inLine(version: ServiceVersion, gate: VersionGate, turn: Turn): Admission {
    const admission = new Admission(version, gate, turn);
    const entry = gate.enter(admission);
    admission.state = entry === "full" ? "refused" : entry;
    if (entry === "waits") version.cells.pending.value++;
    else if (entry === "full") version.cells.overload("queue-full");
    return admission;
  }

  /** Undefined where that would take waiting. */
  static atOnce(version: ServiceVersion, gate: VersionGate): Admission | undefined {
    return gate.tryEnter() ? new Admission(version, gate, undefined) : undefined;
  }

  admitted(): void {
    this.#version.cells.pending.value--;
    this.state = "entered";
    this.#turn?.onTurn();
  }

  expired(): void {
    const { cells } = this.#version;
    cells.pending.value--;
    cells.overload("queue-timeout");
    this.state = "refused";
    this.#turn?.onTurn();
  }

  /** Safe to call again. */
  leave(): void {
    const { state } = this;
    this.state = "left";
    if (state === "entered") this.#gate.leave();
    if (state !== "waits") return;
    this.#version.cells.pending.value--;
    this.#gate.cancel(this);
  }
}
