import type { Socket } from "node:net";
import type { ErrorCode } from "../../errors.ts";
import type { UpgradeStandIn } from "./upgrade-stand-in.ts";

/**
 * A WebSocket may be silent for as long as it likes, so there is no idle timeout. TCP asks after this long whether the
 * peer is still there, and gives it up within seconds where it is not.
 */
const keepAliveProbeMs = 30_000;

export type TunnelEnd = Extract<ErrorCode, "client-closed" | "upstream-reset"> | undefined;

/**
 * The two connections of an open WebSocket, from the 101 until both are closed. http-proxy-3 pipes them; what it leaves
 * open is closed here: an upstream whose client vanished (its pipe stops reading, so an end is never noticed), and a
 * connection of which only one half was ever closed.
 */
export class UpgradeTunnel {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #standIn: UpgradeStandIn;
  readonly #idleMs: number;
  readonly #closed: (error: TunnelEnd) => void;
  #openConnections = 2;
  #error: TunnelEnd;

  /** `closed` is called once; with an error where a connection broke rather than ended. */
  constructor(
    client: Socket,
    upstream: Socket,
    standIn: UpgradeStandIn,
    idleMs: number,
    closed: (error: TunnelEnd) => void,
  ) {
    this.#client = client;
    this.#upstream = upstream;
    this.#standIn = standIn;
    this.#idleMs = idleMs;
    this.#closed = closed;
  }

  start(): void {
    for (const socket of [this.#client, this.#upstream]) {
      socket.setNoDelay(true).setKeepAlive(true, keepAliveProbeMs);
      socket.on("end", () => this.#limitSilence());
      socket.on("timeout", () => this.#breakOff());
    }
    this.#client.on("error", () => this.#broke("client-closed", this.#upstream));
    this.#upstream.on("error", () => this.#broke("upstream-reset", this.#client));
    this.#client.on("close", () => this.#onClientClose());
    this.#upstream.on("close", () => this.#onUpstreamClose());
  }

  /** An error is the cause only where the other connection still stood; else it follows from that one's end. */
  #broke(error: TunnelEnd, other: Socket): void {
    if (!other.destroyed) this.#error ??= error;
  }

  /** Once one side has nothing more to say, the other may finish, but not keep silent for ever. */
  #limitSilence(): void {
    this.#client.setTimeout(this.#idleMs);
    this.#upstream.setTimeout(this.#idleMs);
  }

  #breakOff(): void {
    this.#client.destroy();
    this.#upstream.destroy();
  }

  #onClientClose(): void {
    this.#upstream.destroy();
    this.#standIn.destroy();
    this.#endIfClosed();
  }

  #onUpstreamClose(): void {
    this.#limitSilence();
    // What the upstream said last may still be queued for a slow client.
    if (this.#standIn.writableFinished) this.#client.destroySoon();
    else this.#standIn.once("finish", () => this.#client.destroySoon());
    this.#endIfClosed();
  }

  #endIfClosed(): void {
    this.#openConnections--;
    if (this.#openConnections === 0) this.#closed(this.#error);
  }
}
