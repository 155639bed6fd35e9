import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import type { ListenerSpec } from "./config/compiled-config.ts";
import type { Lanes } from "./lanes.ts";
import { FastLane } from "./proxy/fast/fast-lane.ts";
import type { Gateway } from "./proxy/gateway.ts";
import type { Snapshot } from "./proxy/snapshot.ts";
import { StandardServer } from "./proxy/standard/server.ts";

/** Connections that the kernel holds until they are accepted. */
const backlog = 4096;

export interface ListenOptions {
  /** Several listeners share the port, each with its own queue (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean;
}

/** One listening address: accepts connections and gives each to a lane. */
export class Listener {
  readonly #spec: ListenerSpec;
  readonly #server: Server;
  readonly #standard: StandardServer;
  readonly #fast: FastLane;

  constructor(gateway: Gateway, lanes: Lanes, spec: ListenerSpec) {
    this.#spec = spec;
    this.#standard = new StandardServer(gateway, lanes.standard);
    this.#fast = new FastLane(gateway, lanes.fast, this.#standard);
    // A client may close its half and still wait for the answer; node:http expects to be asked.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true });
    this.#server.on("connection", (socket: Socket) => {
      const lane = gateway.snapshot.config.fastLane === "on" ? this.#fast : this.#standard;
      lane.accept(socket);
    });
  }

  /** Resolves with the bound address; rejects as `listen` does (EADDRINUSE, EACCES …). */
  listen({ reusePort = false }: ListenOptions = {}): Promise<AddressInfo> {
    const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>();
    const { host, port } = this.#spec;
    this.#server.once("error", reject);
    this.#server.listen({ host, port, backlog, reusePort }, () => {
      this.#server.off("error", reject);
      resolve(this.#server.address() as AddressInfo);
    });
    return promise;
  }

  /** Stops accepting, closes idle connections, and resolves once the last request has ended. */
  async close(): Promise<void> {
    const { promise: stopped, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    await Promise.all([stopped, this.#fast.close(), this.#standard.close()]);
    // The fast lane may have handed connections over until its end.
    await this.#standard.close();
  }

  /** Breaks off whatever `close` still waits for. */
  destroy(): void {
    this.#fast.destroy();
    this.#standard.destroy();
  }

  /** Applies what a reload may change on a running listener. */
  snapshotChanged(snapshot: Snapshot): void {
    this.#standard.snapshotChanged(snapshot);
  }
}
