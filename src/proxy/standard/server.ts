import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ErrorCode } from "../../errors.ts";
import { startTimeoutChecks } from "../../node-internals.ts";
import type { DownstreamInfo } from "../downstream.ts";
import { Exchange } from "../exchange.ts";
import { localResponse, localResponseText, unreadableRequestHead } from "../local-reply.ts";
import type { ProxyContext } from "../proxy-context.ts";
import type { Snapshot } from "../snapshot.ts";
import { Connection } from "./connection.ts";
import type { ForwardContext } from "./forward.ts";
import { Http1Client } from "./http1-client.ts";
import { Http2Server } from "./http2-server.ts";
import { mayHaveMoreBehind, StandardHead } from "./request-head.ts";
import { serveRequest } from "./serve-request.ts";
import { isWebSocketUpgrade, Upgrades } from "./upgrade.ts";
import type { UpstreamPools } from "./upstream-pool.ts";

/** A head must be complete within this time: the bound on a slow sender of headers. */
const headTimeoutMs = 15_000;
/** How long an unused client connection is kept: longer than the 60 s that load balancers in front usually keep theirs. */
const keepAliveMs = 75_000;
const checkIntervalMs = 5_000;

/** What a request's `Expect` asks for. */
type Expectation = "nothing" | "continue" | "unknown";

/**
 * The standard lane of one listener: node:http (llhttp, strict) in front and undici behind. It listens to nothing itself:
 * connections are given to it, fresh ones and those that the fast lane will not judge.
 */
export class StandardServer {
  /** Whether a connection may speak HTTP/2 from its first byte. */
  takesH2c: boolean;
  readonly #context: ProxyContext;
  readonly #forwardContext: ForwardContext;
  readonly #server: Server;
  readonly #http2: Http2Server;
  readonly #upgrades: Upgrades;
  readonly #connections = new WeakMap<Duplex, Connection>();
  readonly #sockets = new Set<Socket>();
  /** Connections that have not shown yet which HTTP they speak. */
  readonly #untold = new Set<Socket>();
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
      // A long upload is legitimate: silence is bounded by the idle timeout, the whole by nothing.
      requestTimeout: 0,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: checkIntervalMs,
      // Perch checks Host itself, so that this refusal too is answered, counted and logged like any other.
      requireHostHeader: false,
      optimizeEmptyRequests: true,
      shouldUpgradeCallback: (request) => this.#takesUpgrade(request),
      noDelay: true,
    });
    // Node drops fields past its count, and a Content-Length with them (CVE-2026-58044): keep all, count them here.
    this.#server.maxHeadersCount = 0;
    this.#server.on("request", (request, response) => this.#onRequest(request, response, "nothing"));
    this.#server.on("checkContinue", (request, response) => this.#onRequest(request, response, "continue"));
    this.#server.on("checkExpectation", (request, response) => this.#onRequest(request, response, "unknown"));
    this.#server.on("upgrade", (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.#server.on("connect", (request, socket) => this.#onConnect(request, socket));
    this.#server.on("clientError", (error, socket) => this.#onClientError(error, socket));
    startTimeoutChecks(this.#server);
  }

  /** Takes a connection over; what was read from it and not yet understood has been put back. */
  accept(socket: Socket, downstream: DownstreamInfo): void {
    socket.once("close", downstream.left);
    if (this.takesH2c) this.#acceptEither(socket, downstream);
    else this.#acceptHttp1(socket, downstream);
  }

  /** Takes a connection over that speaks HTTP/2. */
  acceptHttp2(socket: Socket, downstream: DownstreamInfo): void {
    socket.once("close", downstream.left);
    this.#http2.accept(socket, downstream);
  }

  #acceptEither(socket: Socket, downstream: DownstreamInfo): void {
    this.#untold.add(socket);
    spokenOn(socket, headTimeoutMs, (spoken) => {
      this.#untold.delete(socket);
      if (spoken === "h2") this.#http2.accept(socket, downstream);
      else if (spoken === "http1") this.#acceptHttp1(socket, downstream);
      else socket.destroy();
    });
  }

  #acceptHttp1(socket: Socket, downstream: DownstreamInfo): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    const connection = new Connection(socket, downstream, {
      idle: () => {
        // An answer begun before the end promised that the connection would be kept.
        if (this.#closing) socket.destroySoon();
      },
      isLast: () => this.#context.draining || downstream.maxRequestsReached(this.#context.snapshot),
    });
    this.#connections.set(socket, connection);
    this.#server.emit("connection", socket);
  }

  /** Closes idle connections, and resolves once the last request has ended. Whoever listens has stopped before. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#server.close();
    // Node 24 takes a connection that was never used for one whose request is on its way, and would wait for it.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroySoon();
    for (const socket of this.#untold) socket.destroy();
    this.#upgrades.end();
    // The requests on a connection end only with its own `close`.
    await Promise.all([this.#http2.close(), ...Array.from(this.#sockets, closed)]);
  }

  /** Breaks off whatever `close` still waits for. */
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
    connection.take(request, response, () =>
      serveRequest(this.#context, this.#forwardContext, {
        client: new Http1Client(request, response, connection.isLast),
        caller: connection.downstream.caller(this.#context.snapshot),
        head: StandardHead.read(request),
        method: request.method,
        expectsContinue: expectation === "continue",
        refusal: expectation === "unknown" ? "expectation-failed" : undefined,
      }),
    );
  }

  /** node:http loses what came in one read behind a request whose upgrade is not taken, and would go on in the middle of it. */
  #takesUpgrade(request: IncomingMessage): boolean {
    const taken = isWebSocketUpgrade(request);
    if (!taken && mayHaveMoreBehind(request)) this.#connectionOf(request.socket).endBehindAnswer();
    return taken;
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, early: Buffer): void {
    const connection = this.#connectionOf(socket);
    if (connection.answering !== undefined) {
      // Pipelined behind a request still being answered: an upgrade would take the connection away under it.
      socket.destroy();
      return;
    }
    const head = StandardHead.read(request);
    if (head === undefined) {
      this.#refuse(socket, "bad-request", request);
      return;
    }
    const caller = connection.downstream.caller(this.#context.snapshot);
    this.#upgrades.begin(new Exchange(this.#context, caller, head), head, request, socket, early);
  }

  /** Perch is no forward proxy. Behind a request still being answered, a refusal would land in that answer. */
  #onConnect(request: IncomingMessage, socket: Duplex): void {
    if (this.#connectionOf(socket).answering === undefined) this.#refuse(socket, "bad-request", request);
    else socket.destroy();
  }

  /** node:http could not parse what came. The parser has lost its place, so the connection ends. */
  #onClientError(error: Error & { code?: string }, socket: Duplex): void {
    const answering = this.#connections.get(socket)?.answering;
    if (error.code === "HPE_INVALID_EOF_STATE") {
      // The client closed in the middle of what it was sending.
      socket.destroy();
      return;
    }
    if (answering !== undefined && socket.writable) {
      answering.clientFailed(clientErrorCode(error));
      return;
    }
    // A browser's spare connection that was never used gets no answer: a peer could take it for that to its first request.
    const unused = error.code === "ERR_HTTP_REQUEST_TIMEOUT" && (socket as Socket).bytesRead === 0;
    if (unused || error.code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    this.#refuse(socket, clientErrorCode(error), undefined);
  }

  /** Answers on a bare socket, for what never became a request, and closes it. */
  #refuse(socket: Duplex, code: ErrorCode, request: IncomingMessage | undefined): void {
    const caller = this.#connectionOf(socket).downstream.caller(this.#context.snapshot);
    const exchange = new Exchange(this.#context, caller, unreadableRequestHead(request?.method));
    const answer = localResponse(code, exchange.requestId, request?.headers.accept);
    const date = new Date(this.#context.nowMs()).toUTCString();
    exchange.bytesSent = answer.body.length;
    socket.on("error", () => {});
    const reasonPhrase = STATUS_CODES[answer.status] ?? "";
    const text = localResponseText(answer, { reasonPhrase, connection: "close", date, body: "sent" });
    socket.end(text, () => socket.destroy());
    exchange.end(answer.status, code);
  }

  /** node:http types a connection as any duplex; each was accepted here, as the socket that it still is. */
  #connectionOf(socket: Duplex): Connection {
    const connection = this.#connections.get(socket);
    if (connection === undefined) throw new TypeError("A request came on a connection that was not accepted.");
    return connection;
  }
}

function closed(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once("close", () => resolve());
  return promise;
}

function clientErrorCode(error: Error & { code?: string }): ErrorCode {
  if (error.code === "HPE_HEADER_OVERFLOW" || error.code === "HPE_CHUNK_EXTENSIONS_OVERFLOW")
    return "headers-too-large";
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") return "request-timeout";
  return "bad-request";
}

/** How an HTTP/2 connection begins (RFC 9113 §3.4). No HTTP/1.1 request begins like it. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** What a connection turned out to speak, or that it closed, or was silent, before it could be told. */
export type Spoken = "http1" | "h2" | "nothing";

/**
 * Finds out which HTTP a connection speaks by its first bytes, and puts them back. A client that has sent no more than a
 * part of the preface within `withinMs` says nothing.
 */
function spokenOn(socket: Socket, withinMs: number, tell: (spoken: Spoken) => void): void {
  let bytes = Buffer.alloc(0);
  const timer = setTimeout(end, withinMs, "nothing");
  const onReadable = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length === 0) return;
    const compared = Math.min(bytes.length, preface.length);
    if (preface.compare(bytes, 0, compared, 0, compared) !== 0) end("http1");
    else if (compared === preface.length) end("h2");
  };
  const onEnd = () => end("http1");
  const onClose = () => end("nothing");
  const ignore = () => {};
  function end(spoken: Spoken): void {
    clearTimeout(timer);
    socket.off("readable", onReadable).off("end", onEnd).off("close", onClose).off("error", ignore);
    if (bytes.length > 0 && !socket.destroyed) socket.unshift(bytes);
    tell(spoken);
  }
  socket.on("readable", onReadable).on("end", onEnd).on("close", onClose).on("error", ignore);
}
