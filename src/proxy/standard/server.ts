import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { startTimeoutChecks } from "../../node-internals.ts";
import type { DownstreamInfo } from "../downstream.ts";
import { Exchange } from "../exchange.ts";
import { localResponseText, type Refusal, type RefusedHead, refusal, unreadableRequestHead } from "../local-reply.ts";
import type { ProxyContext } from "../proxy-context.ts";
import type { Snapshot } from "../snapshot.ts";
import { Connection } from "./connection.ts";
import type { ForwardContext } from "./forward.ts";
import { Http1Client } from "./http1-client.ts";
import { Http2Server } from "./http2-server.ts";
import { requestRefusal } from "./parser-causes.ts";
import { mayHaveDataBehind, StandardHead } from "./request-head.ts";
import { serveRequest } from "./serve-request.ts";
import { isWebSocketUpgrade, Upgrades } from "./upgrade.ts";
import type { UpstreamPools } from "./upstream-pool.ts";

/** Limits clients that send headers slowly (Slowloris). */
const headTimeoutMs = 15_000;
/**
 * How long an idle client connection is kept. Longer than the 60 s of common load balancers, so that they close first.
 */
const keepAliveMs = 75_000;
const checkIntervalMs = 5_000;

const unknownExpectation = refusal("expectation-failed", "unknown-expectation");

/** The value of a request's `Expect`. */
type Expectation = "nothing" | "continue" | "unknown";

/**
 * The standard lane of one listener: node:http (llhttp, strict) downstream and undici upstream. It does not listen:
 * it gets new connections from the listener, and handovers from the fast lane.
 */
export class StandardServer {
  /** Whether HTTP/2 with prior knowledge is accepted on plain connections. */
  takesH2c: boolean;
  readonly #context: ProxyContext;
  readonly #forwardContext: ForwardContext;
  readonly #server: Server;
  readonly #http2: Http2Server;
  readonly #upgrades: Upgrades;
  readonly #connections = new WeakMap<Duplex, Connection>();
  readonly #sockets = new Set<Socket>();
  /** Connections whose HTTP version is not detected yet. */
  readonly #undetected = new Set<Socket>();
  #closing = false;

  constructor(context: ProxyContext, pools: UpstreamPools, { h2c }: { readonly h2c: boolean }) {
    this.#context = context;
    this.takesH2c = h2c;
    this.#forwardContext = {
      pools,
      streamed: (bytes) => context.streamed(bytes),
      defect: (error) => context.defect(error),
      monotonicMs: () => context.monotonicMs(),
    };
    this.#http2 = new Http2Server(context, this.#forwardContext);
    this.#upgrades = new Upgrades(context);
    const { headerBytes } = context.snapshot.config.limits;
    this.#server = createServer({
      maxHeaderSize: headerBytes,
      headersTimeout: headTimeoutMs,
      // Long uploads are legitimate. The idle timeout limits stalled ones.
      requestTimeout: 0,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: checkIntervalMs,
      // Perch checks Host itself, so that this error is answered, counted and logged like others.
      requireHostHeader: false,
      optimizeEmptyRequests: true,
      shouldUpgradeCallback: (request) => this.#takesUpgrade(request),
      noDelay: true,
    });
    // Node drops fields over its limit, even Content-Length (CVE-2026-58044). Perch counts them itself.
    this.#server.maxHeadersCount = 0;
    this.#server.on("request", (request, response) => this.#onRequest(request, response, "nothing"));
    this.#server.on("checkContinue", (request, response) => this.#onRequest(request, response, "continue"));
    this.#server.on("checkExpectation", (request, response) => this.#onRequest(request, response, "unknown"));
    this.#server.on("upgrade", (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.#server.on("connect", (request, socket) => this.#onConnect(request, socket));
    this.#server.on("clientError", (error, socket) => this.#onClientError(error, socket));
    startTimeoutChecks(this.#server);
  }

  /** Takes over a connection. Data that was already read must have been put back. */
  accept(socket: Socket, downstream: DownstreamInfo): void {
    socket.once("close", downstream.left);
    if (this.takesH2c) this.#detectAndAccept(socket, downstream);
    else this.#acceptHttp1(socket, downstream);
  }

  /** Takes over a connection that is known to speak HTTP/2. */
  acceptHttp2(socket: Socket, downstream: DownstreamInfo): void {
    socket.once("close", downstream.left);
    this.#http2.accept(socket, downstream);
  }

  #detectAndAccept(socket: Socket, downstream: DownstreamInfo): void {
    this.#undetected.add(socket);
    detectProtocol(socket, headTimeoutMs, (protocol) => {
      this.#undetected.delete(socket);
      if (protocol === "h2") this.#http2.accept(socket, downstream);
      else if (protocol === "http1") this.#acceptHttp1(socket, downstream);
      else socket.destroy();
    });
  }

  #acceptHttp1(socket: Socket, downstream: DownstreamInfo): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    const connection = new Connection(socket, downstream, {
      idle: () => {
        // A response that began before closing may have had `Connection: keep-alive`.
        if (this.#closing) socket.destroySoon();
      },
      isLast: () => this.#context.draining || downstream.maxRequestsReached(this.#context.snapshot),
    });
    this.#connections.set(socket, connection);
    this.#server.emit("connection", socket);
  }

  /** Closes idle connections, and resolves once the last request has ended. The listener must have stopped before. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#server.close();
    // Node treats an unused connection as one with a request in flight, and would wait for it.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroySoon();
    for (const socket of this.#undetected) socket.destroy();
    this.#upgrades.drain();
    // The exchanges of a connection end only with its `close` event.
    await Promise.all([this.#http2.close(), ...Array.from(this.#sockets, closed)]);
  }

  /** Aborts everything that `close` still waits for. */
  destroy(): void {
    this.#server.closeAllConnections();
    this.#http2.destroy();
    this.#upgrades.destroy();
  }

  /** Applies what a reload may change on a running server. */
  snapshotChanged(snapshot: Snapshot): void {
    (this.#server as Server & { maxHeaderSize: number }).maxHeaderSize = snapshot.config.limits.headerBytes;
  }

  #onRequest(request: IncomingMessage, response: ServerResponse, expectation: Expectation): void {
    const connection = this.#connectionOf(request.socket);
    // HTTP/1.0 has no transfer codings: a proxy in front may see the end of this request elsewhere (RFC 9112 §6.1).
    if (request.httpVersionMinor === 0 && request.headers["transfer-encoding"] !== undefined)
      connection.closeAfterResponse();
    connection.serve(response, () =>
      serveRequest(this.#context, this.#forwardContext, {
        client: new Http1Client(request, response, connection.isLast),
        caller: connection.downstream.caller(this.#context.snapshot),
        head: StandardHead.read(request),
        expectsContinue: expectation === "continue",
        refusal: expectation === "unknown" ? unknownExpectation : undefined,
      }),
    );
  }

  /**
   * If node:http ignores an upgrade, it loses data read along with the request, and would parse from the middle of it.
   */
  #takesUpgrade(request: IncomingMessage): boolean {
    const isTaken = isWebSocketUpgrade(request);
    if (!isTaken && mayHaveDataBehind(request)) this.#connectionOf(request.socket).closeAfterResponse();
    return isTaken;
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, early: Buffer): void {
    const connection = this.#connectionOf(socket);
    if (connection.active !== undefined) {
      // Pipelined behind an active request, whose response still needs the connection.
      socket.destroy();
      return;
    }
    const head = StandardHead.read(request);
    if ("rejected" in head) {
      this.#refuse(socket, refusal("bad-request", head.rejected), request, head.known);
      return;
    }
    const caller = connection.downstream.caller(this.#context.snapshot);
    this.#upgrades.begin(new Exchange(this.#context, caller, head), head, request, socket, early);
  }

  /** Perch is not a forward proxy. While a request is active, an error reply would corrupt its response. */
  #onConnect(request: IncomingMessage, socket: Duplex): void {
    if (this.#connectionOf(socket).active !== undefined) socket.destroy();
    else {
      const known = { method: "CONNECT", host: "", path: "" };
      this.#refuse(socket, refusal("bad-request", "unsupported-method"), request, known);
    }
  }

  /** node:http could not parse the input, and cannot continue on this connection. */
  #onClientError(error: Error & { code?: string }, socket: Duplex): void {
    const active = this.#connections.get(socket)?.active;
    if (error.code === "HPE_INVALID_EOF_STATE") {
      // The client closed in the middle of a message.
      socket.destroy();
      return;
    }
    if (active !== undefined && socket.writable) {
      active.clientFailed(requestRefusal(error, "body"));
      return;
    }
    // A browser's unused spare connection gets no response: the browser could take it for that of its next request.
    const isUnused = error.code === "ERR_HTTP_REQUEST_TIMEOUT" && (socket as Socket).bytesRead === 0;
    if (isUnused || error.code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    this.#refuse(socket, requestRefusal(error, "head"));
  }

  /** Sends a local reply directly on the socket, and closes it. */
  #refuse(socket: Duplex, reply: Refusal, request?: IncomingMessage, known?: RefusedHead): void {
    const caller = this.#connectionOf(socket).downstream.caller(this.#context.snapshot);
    const exchange = new Exchange(this.#context, caller, unreadableRequestHead(known));
    const response = exchange.localResponse(reply, request?.headers.accept);
    const date = new Date(this.#context.nowMs()).toUTCString();
    socket.on("error", () => {});
    const reasonPhrase = STATUS_CODES[response.status] ?? "";
    const text = localResponseText(response, { reasonPhrase, connection: "close", date, body: "sent" });
    socket.end(text, () => socket.destroy());
    exchange.end(response.status, reply.error);
  }

  /** node:http types connections as Duplex, but each is a socket accepted here. */
  #connectionOf(socket: Duplex): Connection {
    const connection = this.#connections.get(socket);
    if (connection === undefined) throw new TypeError("A request arrived on a connection that was not accepted here.");
    return connection;
  }
}

/** The start of an HTTP/2 connection (RFC 9113 §3.4). It is not a valid HTTP/1.1 request. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** `unknown`: the connection closed or timed out before its protocol was clear. */
type DetectedProtocol = "http1" | "h2" | "unknown";

/**
 * Detects the HTTP version by a connection's first bytes, and puts them back. Times out if only a part of the preface
 * arrives.
 */
function detectProtocol(socket: Socket, timeoutMs: number, detected: (protocol: DetectedProtocol) => void): void {
  let bytes = Buffer.alloc(0);
  const timer = setTimeout(end, timeoutMs, "unknown");
  const onReadable = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length === 0) return;
    const compared = Math.min(bytes.length, preface.length);
    if (preface.compare(bytes, 0, compared, 0, compared) !== 0) end("http1");
    else if (compared === preface.length) end("h2");
  };
  const onEnd = () => end("http1");
  const onClose = () => end("unknown");
  const ignore = () => {};
  function end(protocol: DetectedProtocol): void {
    clearTimeout(timer);
    socket.off("readable", onReadable).off("end", onEnd).off("close", onClose).off("error", ignore);
    if (bytes.length > 0 && !socket.destroyed) socket.unshift(bytes);
    detected(protocol);
  }
  socket.on("readable", onReadable).on("end", onEnd).on("close", onClose).on("error", ignore);
}

function closed(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once("close", () => resolve());
  return promise;
}
