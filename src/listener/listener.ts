import { chmodSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Limits, ListenerSpec } from "../config/compiled-config.ts";
import type { RefusalCause } from "../observe/listener-stats.ts";
import type { ListenerStats } from "../observe/stats-registry.ts";
import { type ConnectionEnds, DownstreamInfo } from "../proxy/downstream.ts";
import { FastLane } from "../proxy/fast/fast-lane.ts";
import type { ProxyContext } from "../proxy/proxy-context.ts";
import type { Snapshot } from "../proxy/snapshot.ts";
import { StandardServer } from "../proxy/standard/server.ts";
import { ConnectionLimiter, type ConnectionSlot } from "./connection-limiter.ts";
import { readProxied } from "./proxy-protocol.ts";
import type { SharedPools } from "./shared-pools.ts";
import { type Protocol, TlsTermination } from "./tls.ts";
import { removeStale } from "./unix-socket.ts";

/** Connections that the kernel holds until they are accepted. */
const backlog = 4096;
/** How long a close waits for connections that no lane has yet. */
const arrivingMs = 1_000;

export interface ListenOptions {
  /** Several listeners share the port, each with its own queue (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean;
}

export interface ListenerParts {
  readonly context: ProxyContext;
  readonly lanes: SharedPools;
  readonly spec: ListenerSpec;
  /** What session tickets are sealed with: the same for all workers. */
  readonly ticketKeys: Buffer;
  /** How many connections it holds where the configuration leaves it to the limit on open files. */
  readonly fittingConnections: number;
}

/** What is taken off a connection before a lane gets it. */
interface Front {
  readonly proxyProtocol: boolean;
  readonly tls: TlsTermination | undefined;
}

/** One listening address: accepts connections, takes off what is around the HTTP within, and gives each to a lane. */
export class Listener {
  readonly #parts: ListenerParts;
  readonly #server: Server;
  readonly #standard: StandardServer;
  readonly #fast: FastLane;
  /** Connections that no lane has yet. */
  readonly #arriving = new Set<Socket>();
  readonly #places = new ConnectionLimiter((open) => {
    const stats = this.#stats;
    if (stats !== undefined) stats.open.value = open;
  });
  #noneArrives: (() => void) | undefined;
  #front: Front;

  constructor(parts: ListenerParts) {
    const { context, lanes, spec } = parts;
    this.#parts = parts;
    this.#standard = new StandardServer(context, lanes.standard, spec);
    this.#fast = new FastLane(context, lanes.fast, this.#standard);
    this.#front = this.#frontOf(spec);
    // A client may close its half and still wait for the answer; node:http expects to be asked.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true });
    this.#server.on("connection", (socket: Socket) => this.#accept(socket));
  }

  /** Resolves with the bound address, a path for a unix socket; rejects as `listen` does (EADDRINUSE, EACCES …). */
  async listen({ reusePort = false }: ListenOptions = {}): Promise<AddressInfo | string> {
    const { address } = this.#parts.spec;
    if ("path" in address) await removeStale(address.path);
    const { promise, resolve, reject } = Promise.withResolvers<AddressInfo | string>();
    this.#server.once("error", reject);
    const where = "path" in address ? { path: address.path } : { ...address, reusePort };
    this.#server.listen({ ...where, backlog }, () => {
      this.#server.off("error", reject);
      resolve(this.#server.address() ?? "");
    });
    // It is bound by now, with the permissions that the umask leaves, and nobody was accepted yet.
    if ("path" in address && this.#server.listening) chmodSync(address.path, address.mode);
    return promise;
  }

  /** Stops accepting, closes idle connections, and resolves once the last request has ended. */
  async close(): Promise<void> {
    const { promise: stopped, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    if (this.#arriving.size > 0) await this.#arrived();
    await Promise.all([stopped, this.#fast.close(), this.#standard.close()]);
    // The fast lane may have handed connections over until its end.
    await this.#standard.close();
  }

  /** Those in the middle of a handshake are let in, with the request that they came for; the slow ones are not. */
  async #arrived(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#noneArrives = resolve;
    const timer = setTimeout(resolve, arrivingMs);
    await promise;
    clearTimeout(timer);
    for (const socket of this.#arriving) socket.destroy();
    // What came with the end of a handshake is read in the next turns.
    await nextTurn();
    await nextTurn();
  }

  /** Breaks off whatever `close` still waits for. */
  destroy(): void {
    for (const socket of this.#arriving) socket.destroy();
    this.#fast.destroy();
    this.#standard.destroy();
  }

  /** Builds aside what a reload may change on a running listener; it takes its place when the function is called. */
  prepare(spec: ListenerSpec | undefined): (snapshot: Snapshot) => void {
    const front = spec === undefined ? this.#front : this.#frontOf(spec);
    return (snapshot) => {
      this.#front = front;
      if (spec !== undefined) this.#standard.takesH2c = spec.h2c;
      this.#standard.snapshotChanged(snapshot);
    };
  }

  #frontOf({ name, tls, proxyProtocol }: ListenerSpec): Front {
    if (tls === undefined) return { proxyProtocol, tls };
    const { ticketKeys } = this.#parts;
    const termination = new TlsTermination({
      listener: name,
      spec: tls,
      ticketKeys,
      failed: (cause) => this.#stats?.handshakeFailed(cause),
    });
    return { proxyProtocol, tls: termination };
  }

  get #stats(): ListenerStats | undefined {
    const { context, spec } = this.#parts;
    return context.snapshot.listenerStats.get(spec.name);
  }

  // ---- from accept to a lane: PROXY protocol, TLS, and what is spoken within

  #accept(socket: Socket): void {
    const { connections } = this.#limits;
    const place = this.#places.acquire(connections === "auto" ? this.#parts.fittingConnections : connections);
    if (place === undefined) {
      this.#refuse(socket, "connections");
      return;
    }
    const { proxyProtocol, tls } = this.#front;
    const { remoteAddress, localPort } = socket;
    const ends: ConnectionEnds = {
      remoteAddress,
      localPort,
      scheme: tls === undefined ? "http" : "https",
      transport: "path" in this.#parts.spec.address ? "unix" : "tcp",
    };
    if (!proxyProtocol && tls === undefined) {
      const downstream = new DownstreamInfo(ends, left(place));
      if (this.#admits(socket, downstream, place)) this.#serve(socket, downstream, "http/1.1");
      return;
    }
    this.#arriving.add(socket);
    socket.once("close", () => {
      // A lane that has it by then tells of its end; the fast one has moved it to another socket.
      if (this.#arriving.has(socket)) place.release();
      this.#leave(socket);
    });
    socket.on("error", ignore);
    if (proxyProtocol) this.#readProxied(socket, ends, tls, place);
    else this.#secure(socket, new DownstreamInfo(ends, left(place)), tls, place);
  }

  /** Whoever may not speak for others is not listened to. */
  #readProxied(socket: Socket, ends: ConnectionEnds, tls: Front["tls"], place: ConnectionSlot): void {
    const direct = new DownstreamInfo(ends, left(place));
    const { trusted } = direct.caller(this.#parts.context.snapshot);
    if (!trusted) {
      this.#stats?.rejected("untrusted");
      socket.destroy();
      return;
    }
    readProxied(socket, {
      read: (carried) => {
        const from = carried && new DownstreamInfo({ ...ends, ...carried, transport: "tcp" }, left(place));
        this.#secure(socket, from ?? direct, tls, place);
      },
      rejected: (cause) => this.#stats?.rejected(cause),
    });
  }

  #secure(socket: Socket, downstream: DownstreamInfo, tls: Front["tls"], place: ConnectionSlot): void {
    if (!this.#admits(socket, downstream, place)) return;
    if (tls === undefined) {
      this.#leave(socket);
      this.#serve(socket, downstream, "http/1.1");
      return;
    }
    tls.accept(socket, (secured, protocol) => {
      this.#leave(socket);
      this.#serve(secured, downstream, protocol);
    });
  }

  #leave(socket: Socket): void {
    this.#arriving.delete(socket);
    if (this.#arriving.size === 0) this.#noneArrives?.();
  }

  /** Whether a client may have one more connection. Whoever speaks for others may have any number. */
  #admits(socket: Socket, downstream: DownstreamInfo, place: ConnectionSlot): boolean {
    const { connectionsPerAddress } = this.#limits;
    if (connectionsPerAddress === Number.POSITIVE_INFINITY) return true;
    const { address, trusted } = downstream.caller(this.#parts.context.snapshot);
    if (address === undefined || trusted || place.assignTo(address, connectionsPerAddress)) return true;
    place.release();
    this.#refuse(socket, "address");
    return false;
  }

  /** A reset leaves nothing behind; whoever is too many gets no answer, which would cost a handshake where there is TLS. */
  #refuse(socket: Socket, cause: RefusalCause): void {
    this.#stats?.refused(cause);
    socket.on("error", ignore).resetAndDestroy();
  }

  get #limits(): Limits {
    return this.#parts.context.snapshot.config.limits;
  }

  /** `socket` carries plain HTTP of this protocol from here on. */
  #serve(socket: Socket, downstream: DownstreamInfo, protocol: Protocol): void {
    if (protocol === "h2") {
      this.#standard.acceptHttp2(socket, downstream);
      return;
    }
    const lane = this.#parts.context.snapshot.config.fastLane === "on" ? this.#fast : this.#standard;
    lane.accept(socket, downstream);
  }
}

const left = (place: ConnectionSlot) => () => place.release();

function ignore(): void {}
