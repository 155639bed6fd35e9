import { chmodSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Limits, ListenerSpec } from "../config/compiled-config.ts";
import { descriptorOf } from "../node-internals.ts";
import type { RefusalCause } from "../observe/listener-stats.ts";
import type { ListenerStats } from "../observe/stats-registry.ts";
import { type ConnectionEnds, DownstreamInfo } from "../proxy/downstream.ts";
import { FastLane } from "../proxy/fast/fast-lane.ts";
import type { ProxyContext } from "../proxy/proxy-context.ts";
import type { Snapshot } from "../proxy/snapshot.ts";
import { StandardServer } from "../proxy/standard/server.ts";
import { descriptorReserve } from "../upstream/descriptor-reserve.ts";
import { bindHost } from "./bind-host.ts";
import { ConnectionLimiter, type ConnectionSlot } from "./connection-limiter.ts";
import { readProxied } from "./proxy-protocol.ts";
import type { SharedPools } from "./shared-pools.ts";
import { type Protocol, TlsTermination } from "./tls.ts";
import { removeStale } from "./unix-socket.ts";

/** Connections that the kernel queues until they are accepted. */
const backlog = 4096;
/** How long `close` waits for handshakes under way. */
const handshakeGraceMs = 1_000;

export interface ListenOptions {
  /** Replaces the configured port. */
  readonly port?: number | undefined;
  /** Several listeners share the port, each with its own queue (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean;
}

export interface ListenerParts {
  readonly context: ProxyContext;
  readonly lanes: SharedPools;
  readonly spec: ListenerSpec;
  /** Encrypts session tickets; the same in all workers, so that any of them can resume a session. */
  readonly ticketKeys: Buffer;
  /** The connection limit for `connections: auto`, from the limit on open files. */
  readonly autoConnections: number;
}

/** The layers that are terminated before a lane gets the connection. */
interface Termination {
  readonly proxyProtocol: boolean;
  readonly tls: TlsTermination | undefined;
}

/**
 * One listening address: accepts connections, terminates PROXY protocol and TLS, and passes each connection to a lane.
 */
export class Listener {
  readonly #parts: ListenerParts;
  readonly #server: Server;
  readonly #standard: StandardServer;
  readonly #fast: FastLane;
  /** Connections that are not passed to a lane yet. */
  readonly #arriving = new Set<Socket>();
  readonly #limiter = new ConnectionLimiter((open) => {
    const stats = this.#stats;
    if (stats !== undefined) stats.open.value = open;
  });
  #handshakesDone: (() => void) | undefined;
  #termination: Termination;

  constructor(parts: ListenerParts) {
    const { context, lanes, spec } = parts;
    this.#parts = parts;
    this.#standard = new StandardServer(context, lanes.standard, spec);
    this.#fast = new FastLane(context, lanes.fast, this.#standard);
    this.#termination = this.#createTermination(spec);
    // A client may close its half and still wait for the response. node:http requires this option for that.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true });
    this.#server.on("connection", (socket: Socket) => this.#accept(socket));
  }

  /**
   * Resolves with the bound address, or the path of a unix socket. Rejects with the system's error, such as EADDRINUSE.
   */
  async listen({ port, reusePort = false }: ListenOptions = {}): Promise<AddressInfo | string> {
    const { address } = this.#parts.spec;
    if ("path" in address) await removeStale(address.path);
    const { promise, resolve, reject } = Promise.withResolvers<AddressInfo | string>();
    this.#server.once("error", reject);
    const where =
      "path" in address ? { path: address.path } : { host: bindHost(address), port: port ?? address.port, reusePort };
    this.#server.listen({ ...where, backlog }, () => {
      this.#server.off("error", reject);
      // Out of descriptors, accept(2) fails. libuv usually closes such connections without an error, but not if another
      // thread has taken the descriptor that it keeps for that.
      this.#server.on("error", ignore);
      resolve(this.#server.address() ?? "");
    });
    // A path is bound synchronously, with the umask's permissions. No connection was accepted yet.
    if ("path" in address && this.#server.listening) chmodSync(address.path, address.mode);
    return promise;
  }

  /** Stops accepting, closes idle connections, and resolves once the last request has ended. */
  async close(): Promise<void> {
    const { promise: stopped, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    if (this.#arriving.size > 0) await this.#finishHandshakes();
    await Promise.all([stopped, this.#fast.close(), this.#standard.close()]);
    // The fast lane may have handed over connections until it closed.
    await this.#standard.close();
  }

  /** Lets handshakes under way finish, so that their first request is served. Slow ones are aborted. */
  async #finishHandshakes(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#handshakesDone = resolve;
    const timer = setTimeout(resolve, handshakeGraceMs);
    await promise;
    clearTimeout(timer);
    for (const socket of this.#arriving) socket.destroy();
    // Data that arrived with the end of a handshake is read in the next turns of the event loop.
    await nextTurn();
    await nextTurn();
  }

  /** Aborts everything that `close` still waits for. */
  destroy(): void {
    for (const socket of this.#arriving) socket.destroy();
    this.#fast.destroy();
    this.#standard.destroy();
  }

  /** Builds what a reload may change on a running listener. The returned function activates it. */
  prepare(spec: ListenerSpec | undefined): (snapshot: Snapshot) => void {
    const termination = spec === undefined ? this.#termination : this.#createTermination(spec);
    return (snapshot) => {
      this.#termination = termination;
      if (spec !== undefined) this.#standard.takesH2c = spec.h2c;
      this.#standard.snapshotChanged(snapshot);
    };
  }

  #createTermination({ name, tls, proxyProtocol }: ListenerSpec): Termination {
    if (tls === undefined) return { proxyProtocol, tls };
    const { ticketKeys } = this.#parts;
    const tlsTermination = new TlsTermination({
      listener: name,
      spec: tls,
      ticketKeys,
      failed: (cause) => this.#stats?.handshakeFailed(cause),
    });
    return { proxyProtocol, tls: tlsTermination };
  }

  get #stats(): ListenerStats | undefined {
    const { context, spec } = this.#parts;
    return context.snapshot.listenerStats.get(spec.name);
  }

  #accept(socket: Socket): void {
    if (!descriptorReserve.allowsClient(descriptorOf(socket))) {
      this.#refuse(socket, "descriptors");
      return;
    }
    const { connections } = this.#limits;
    const slot = this.#limiter.acquire(connections === "auto" ? this.#parts.autoConnections : connections);
    if (slot === undefined) {
      this.#refuse(socket, "connections");
      return;
    }
    const { proxyProtocol, tls } = this.#termination;
    const { remoteAddress, localPort } = socket;
    const ends: ConnectionEnds = {
      remoteAddress,
      localPort,
      scheme: tls === undefined ? "http" : "https",
      listener: this.#parts.spec.name,
      transport: "path" in this.#parts.spec.address ? "unix" : "tcp",
    };
    if (!proxyProtocol && tls === undefined) {
      const downstream = new DownstreamInfo(ends, releaseOf(slot));
      if (this.#admits(socket, downstream, slot)) this.#serve(socket, downstream, "http/1.1");
      return;
    }
    this.#arriving.add(socket);
    socket.once("close", () => {
      // A lane that owns the connection releases the slot itself. The fast lane has moved it to another socket.
      if (this.#arriving.has(socket)) slot.release();
      this.#arrived(socket);
    });
    socket.on("error", ignore);
    if (proxyProtocol) this.#readProxied(socket, ends, tls, slot);
    else this.#secure(socket, new DownstreamInfo(ends, releaseOf(slot)), tls, slot);
  }

  #readProxied(socket: Socket, ends: ConnectionEnds, tls: Termination["tls"], slot: ConnectionSlot): void {
    const direct = new DownstreamInfo(ends, releaseOf(slot));
    const { trusted } = direct.caller(this.#parts.context.snapshot);
    if (!trusted) {
      this.#stats?.rejected("untrusted");
      socket.destroy();
      return;
    }
    readProxied(socket, {
      read: (carried) => {
        const proxied = carried && new DownstreamInfo({ ...ends, ...carried, transport: "tcp" }, releaseOf(slot));
        this.#secure(socket, proxied ?? direct, tls, slot);
      },
      rejected: (cause) => this.#stats?.rejected(cause),
    });
  }

  #secure(socket: Socket, downstream: DownstreamInfo, tls: Termination["tls"], slot: ConnectionSlot): void {
    if (!this.#admits(socket, downstream, slot)) return;
    if (tls === undefined) {
      this.#arrived(socket);
      this.#serve(socket, downstream, "http/1.1");
      return;
    }
    tls.accept(socket, (secured, protocol) => {
      this.#arrived(socket);
      this.#serve(secured, downstream, protocol);
    });
  }

  #arrived(socket: Socket): void {
    this.#arriving.delete(socket);
    if (this.#arriving.size === 0) this.#handshakesDone?.();
  }

  /** Applies the limit of connections per client. Trusted proxies are exempt, since they carry many clients. */
  #admits(socket: Socket, downstream: DownstreamInfo, slot: ConnectionSlot): boolean {
    const { connectionsPerAddress } = this.#limits;
    if (connectionsPerAddress === Number.POSITIVE_INFINITY) return true;
    const { address, trusted } = downstream.caller(this.#parts.context.snapshot);
    if (address === undefined || trusted || slot.assignTo(address, connectionsPerAddress)) return true;
    slot.release();
    this.#refuse(socket, "address");
    return false;
  }

  /** A reset leaves no TIME_WAIT state behind. A response would cost a TLS handshake first. */
  #refuse(socket: Socket, cause: RefusalCause): void {
    this.#stats?.refused(cause);
    socket.on("error", ignore).resetAndDestroy();
  }

  get #limits(): Limits {
    return this.#parts.context.snapshot.config.limits;
  }

  #serve(socket: Socket, downstream: DownstreamInfo, protocol: Protocol): void {
    if (protocol === "h2") {
      this.#standard.acceptHttp2(socket, downstream);
      return;
    }
    const lane = this.#parts.context.snapshot.config.fastLane === "on" ? this.#fast : this.#standard;
    lane.accept(socket, downstream);
  }
}

const releaseOf = (slot: ConnectionSlot) => () => slot.release();

function ignore(): void {}
