import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import type { ListenerSpec } from "./config/compiled-config.ts";
import { type Protocol, TlsTermination } from "./front/tls-termination.ts";
import type { Lanes } from "./lanes.ts";
import { FastLane } from "./proxy/fast/fast-lane.ts";
import type { Gateway } from "./proxy/gateway.ts";
import { Peer } from "./proxy/peer.ts";
import type { Snapshot } from "./proxy/snapshot.ts";
import { StandardServer } from "./proxy/standard/server.ts";

/** Connections that the kernel holds until they are accepted. */
const backlog = 4096;

export interface ListenOptions {
  /** Several listeners share the port, each with its own queue (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean;
}

export interface ListenerParts {
  readonly gateway: Gateway;
  readonly lanes: Lanes;
  readonly spec: ListenerSpec;
  /** What session tickets are sealed with: the same for all workers. */
  readonly ticketKeys: Buffer;
}

/** One listening address: accepts connections, takes off what is around the HTTP within, and gives each to a lane. */
export class Listener {
  readonly #parts: ListenerParts;
  readonly #server: Server;
  readonly #standard: StandardServer;
  readonly #fast: FastLane;
  /** Connections that no lane has yet. */
  readonly #arriving = new Set<Socket>();
  #tls: TlsTermination | undefined;

  constructor(parts: ListenerParts) {
    const { gateway, lanes, spec } = parts;
    this.#parts = parts;
    this.#standard = new StandardServer(gateway, lanes.standard, spec);
    this.#fast = new FastLane(gateway, lanes.fast, this.#standard);
    this.#tls = this.#termination(spec);
    // A client may close its half and still wait for the answer; node:http expects to be asked.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true });
    this.#server.on("connection", (socket: Socket) => this.#accept(socket));
  }

  /** Resolves with the bound address; rejects as `listen` does (EADDRINUSE, EACCES …). */
  listen({ reusePort = false }: ListenOptions = {}): Promise<AddressInfo> {
    const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>();
    const { host, port } = this.#parts.spec;
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
    for (const socket of this.#arriving) socket.destroy();
    await Promise.all([stopped, this.#fast.close(), this.#standard.close()]);
    // The fast lane may have handed connections over until its end.
    await this.#standard.close();
  }

  /** Breaks off whatever `close` still waits for. */
  destroy(): void {
    for (const socket of this.#arriving) socket.destroy();
    this.#fast.destroy();
    this.#standard.destroy();
  }

  /** Builds aside what a reload may change on a running listener; it takes its place when the function is called. */
  prepare(spec: ListenerSpec | undefined): (snapshot: Snapshot) => void {
    const tls = spec === undefined ? this.#tls : this.#termination(spec);
    return (snapshot) => {
      this.#tls = tls;
      if (spec !== undefined) this.#standard.takesH2c = spec.h2c;
      this.#standard.snapshotChanged(snapshot);
    };
  }

  #termination({ name, tls }: ListenerSpec): TlsTermination | undefined {
    const { ticketKeys } = this.#parts;
    return tls === undefined ? undefined : new TlsTermination({ listener: name, spec: tls, ticketKeys });
  }

  // ---- from accept to a lane: terminate (TLS), then serve

  #accept(socket: Socket): void {
    const { remoteAddress, localPort } = socket;
    const tls = this.#tls;
    if (tls === undefined) {
      this.#serve(socket, new Peer({ remoteAddress, localPort, scheme: "http" }), "http/1.1");
      return;
    }
    const peer = new Peer({ remoteAddress, localPort, scheme: "https" });
    const left = () => this.#arriving.delete(socket);
    this.#arriving.add(socket);
    socket.once("close", left);
    tls.accept(socket, (secured, protocol) => {
      socket.off("close", left);
      left();
      this.#serve(secured, peer, protocol);
    });
  }

  /** `socket` carries plain HTTP of this protocol from here on. */
  #serve(socket: Socket, peer: Peer, protocol: Protocol): void {
    if (protocol === "h2") {
      this.#standard.acceptHttp2(socket, peer);
      return;
    }
    const lane = this.#parts.gateway.snapshot.config.fastLane === "on" ? this.#fast : this.#standard;
    lane.accept(socket, peer);
  }
}
