import { type ClientRequest, IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { createProxyServer, type ProxyTarget } from "http-proxy-3";
import { type ErrorCode, PerchError } from "../../errors.ts";
import { upstreamTlsOptions } from "../../upstream/connector.ts";
import type { EndpointAddress, ResponseHeadLimits, Timeouts, UpstreamTls } from "../../upstream/service-spec.ts";
import { type AttemptFailure, causeOf, isAttemptFailure } from "../attempt-failure.ts";
import { responseCause } from "./parser-causes.ts";
import { ResponseFilter } from "./response-filter.ts";
import { switchFault } from "./websocket-handshake.ts";

export interface HandshakeRequest {
  readonly address: EndpointAddress;
  readonly target: string;
  /** Flat: name, value, name, value. With Host, Connection and Upgrade. */
  readonly headers: readonly string[];
  readonly timeouts: Timeouts;
  readonly tls: UpstreamTls | undefined;
  readonly responseHead: ResponseHeadLimits;
  /** The Sec-WebSocket-Key. */
  readonly key: string;
}

/** One of `opened`, `declined` and `failed` is called, once, unless the handshake is cancelled. */
export interface HandshakeEvents {
  /** Returns the fields of the 101 for the client, flat. Called just before `opened`. */
  switchedHeaders(upstream: readonly string[]): string[];
  /** The client got the 101, and the connections are piped into each other. */
  opened(upstream: Socket): void;
  /** The upstream responded with another status than 101. The body is unread. */
  declined(response: IncomingMessage): void;
  /** `why`: the underlying error, or the failure's cause. */
  failed(failure: AttemptFailure, why?: Error | string): void;
}

const noBytes = Buffer.alloc(0);

/**
 * One attempt at a WebSocket handshake with one endpoint. http-proxy-3 sends the request, writes the 101 to the
 * stand-in of the client's socket, and pipes the connections into each other. Its other behaviour is worked around:
 *
 * - It normalises the target as a URL (`/a/../b`, `/a|b`, a lone `?`) and merges header lines. Both are set afterwards.
 * - With a client's `Expect` node would send the head before that, so http-proxy-3 never sees the client's request.
 * - It copies the upstream's hop-by-hop fields to the 101, and opens a tunnel for any protocol in the 101.
 * - It relays other responses without backpressure, with all fields and any status text, and truncated ones look
 *   complete. `declined` takes them over.
 * - Its connect timeout excludes the TLS handshake, it has no timeout for the response, and it keeps waiting for the
 *   upstream after the client has left. Hence the timer here, and `cancel`.
 */
export class UpgradeHandshake {
  readonly #request: HandshakeRequest;
  readonly #standIn: UpgradeStandIn;
  readonly #events: HandshakeEvents;
  #upstream: ClientRequest | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isSent = false;
  /** The TLS handshake is under way. */
  #isSecuring = false;
  #isDone = false;

  constructor(request: HandshakeRequest, standIn: UpgradeStandIn, events: HandshakeEvents) {
    this.#request = request;
    this.#standIn = standIn;
    this.#events = events;
  }

  /** Throws if node rejects the request. Then nothing was sent and no event follows. */
  start(): void {
    const { address, timeouts, tls, responseHead } = this.#request;
    const { rejectUnauthorized = true, ...secure } = upstreamTlsOptions(address, tls);
    const proxy = createProxyServer({
      target: targetOf(address),
      agent: false,
      toProxy: true,
      ignorePath: true,
      prependPath: false,
      // Despite its name, http-proxy-3 passes this object on as node's request options.
      ssl: { maxHeaderSize: responseHead.bytes, ...secure },
      secure: rejectUnauthorized,
    });
    // Without this listener http-proxy-3 throws every error of the stand-in, which would end the process.
    proxy.on("error", () => {});
    proxy.on("proxyReqWs", (upstream) => this.#prepare(upstream));
    proxy.on("open", (socket) => this.#onOpen(socket));
    this.#arm(timeouts.connectMs, "connect-timeout");
    try {
      proxy.ws(plainUpgrade(), this.#standIn, noBytes, (error) => this.#onError(error));
    } catch (error) {
      this.cancel();
      throw error;
    }
    // Events fire in a later turn, so none is missed between the removal of the listener and the new one.
    this.#upstream?.removeAllListeners("response").on("response", (response) => this.#onResponse(response));
  }

  /** Aborts the handshake without an event. */
  cancel(): void {
    this.#finish();
    this.#abort();
  }

  #prepare(upstream: ClientRequest): void {
    this.#upstream = upstream;
    upstream.path = this.#request.target;
    for (const name of upstream.getHeaderNames()) upstream.removeHeader(name);
    for (const [name, values] of Object.entries(linesByName(this.#request.headers))) upstream.setHeader(name, values);
    // Node drops fields over its limit, even Content-Length. `maxHeaderSize` limits the head instead.
    upstream.maxHeadersCount = 0;
    upstream.on("socket", (socket) => this.#onSocket(socket));
    upstream.on("upgrade", (response, socket) => this.#onUpgrade(response, socket as Socket));
  }

  #onSocket(socket: Socket): void {
    // Its limits and rules are those of every other response; none of the interim ones is forwarded.
    ResponseFilter.install(socket, this.#request.responseHead, () => {}, "asked");
    if (!socket.connecting) this.#onConnected();
    else if (socket instanceof TLSSocket) {
      socket.once("connect", () => {
        this.#isSecuring = true;
      });
      socket.once("secureConnect", () => this.#onConnected());
    } else socket.once("connect", () => this.#onConnected());
  }

  #onConnected(): void {
    if (this.#isDone) return;
    this.#isSent = true;
    this.#isSecuring = false;
    this.#arm(this.#request.timeouts.responseHeadersMs, "upstream-timeout");
  }

  /** Runs before http-proxy-3's own listener, which writes `headers` to the client and pipes the connections. */
  #onUpgrade(response: IncomingMessage, socket: Socket): void {
    const fault = switchFault(response, this.#request.key);
    if (this.#isDone || fault !== undefined) {
      // Destroys both ends, so http-proxy-3 pipes nothing.
      socket.destroy();
      this.#fail("upstream-malformed", fault);
      return;
    }
    // The client may still send after the upstream has ended its half.
    socket.allowHalfOpen = true;
    response.headers = linesByName(this.#events.switchedHeaders(response.rawHeaders));
  }

  #onOpen(socket: Socket): void {
    if (this.#finish()) this.#events.opened(socket);
  }

  #onResponse(response: IncomingMessage): void {
    const { statusCode = 0 } = response;
    // A 101 without the required fields, which node treats as a final response.
    if (statusCode < 200) this.#fail("upstream-malformed", statusCode === 101 ? "unasked-upgrade" : "invalid-status");
    else if (this.#finish()) {
      this.#standIn.destroy();
      this.#events.declined(response);
    }
  }

  #onError(error: Error & { readonly code?: unknown }): void {
    if (!this.#isSent) this.#fail(this.#isSecuring ? "tls-failed" : "connect-failed", error);
    else if (error instanceof PerchError && isAttemptFailure(error.code)) this.#fail(error.code, causeOf(error));
    else if (typeof error.code === "string" && error.code.startsWith("HPE_"))
      this.#fail("upstream-malformed", responseCause(error));
    else this.#fail("upstream-reset");
  }

  #fail(failure: AttemptFailure, why?: Error | string): void {
    if (!this.#finish()) return;
    this.#abort();
    this.#events.failed(failure, why);
  }

  /** Returns true on the first call only. */
  #finish(): boolean {
    clearTimeout(this.#timer);
    const isFirst = !this.#isDone;
    this.#isDone = true;
    return isFirst;
  }

  #abort(): void {
    this.#upstream?.destroy();
    this.#standIn.destroy();
  }

  #arm(ms: number, failure: AttemptFailure): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail(failure), ms);
  }
}

/** The address in http-proxy-3's format. Used only to connect: Host is set separately. */
function targetOf({ origin, host, place }: EndpointAddress): ProxyTarget {
  return "path" in place ? { protocol: "http:", host, port: 0, socketPath: place.path } : new URL(origin);
}

/** The minimal upgrade request that http-proxy-3 sees. The real target and fields are set afterwards. */
function plainUpgrade(): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  request.method = "GET";
  request.url = "/";
  request.httpVersion = "1.1";
  request.httpVersionMajor = 1;
  request.httpVersionMinor = 1;
  request.headers = { connection: "Upgrade", upgrade: "websocket" };
  return request;
}

/**
 * Fields as an object of lists, which node and http-proxy-3 write with one line per value. Repeated fields move to the
 * first one and take its case. The object has no prototype, so that `__proto__` is an ordinary name.
 */
function linesByName(headers: readonly string[]): Record<string, string[]> {
  const lines: Record<string, string[]> = Object.create(null);
  const known = new Map<string, string[]>();
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? "";
    const value = headers[i + 1] ?? "";
    const values = known.get(name.toLowerCase());
    if (values !== undefined) {
      values.push(value);
      continue;
    }
    const first = [value];
    known.set(name.toLowerCase(), first);
    lines[name] = first;
  }
  return lines;
}

/** Counts the bytes of a tunnel, without the head of the 101. */
export interface TunnelBytes {
  bytesReceived: number;
  bytesSent: number;
}

/**
 * Stands in for the client's socket during one attempt. http-proxy-3 adds listeners to its socket and destroys it on
 * failure: with the real one, a failed attempt would close the client's connection, and each retry would leak
 * listeners.
 *
 * Writes go to the client: first the head of the 101, then the tunnel. Nothing is read from the client before `open`.
 */
export class UpgradeStandIn extends Duplex {
  readonly #client: Socket;
  readonly #bytes: TunnelBytes;
  #isHeadWritten = false;
  #isOpened = false;

  constructor(client: Socket, bytes: TunnelBytes) {
    super({ allowHalfOpen: true });
    this.#client = client;
    this.#bytes = bytes;
  }

  /** Starts reading from the client, after the `early` bytes that arrived before the 101. */
  open(early: readonly Buffer[]): void {
    this.#isOpened = true;
    for (const chunk of early) this.#onData(chunk);
    this.#client.on("data", this.#onData).on("end", this.#onEnd);
  }

  override _read(): void {
    if (this.#isOpened) this.#client.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // http-proxy-3 first writes the head of the 101, in one piece and as UTF-8, but its fields are Latin-1 and must be
    // forwarded unchanged.
    const bytes = this.#isHeadWritten ? chunk : Buffer.from(chunk.toString("utf8"), "latin1");
    if (this.#isHeadWritten) this.#bytes.bytesSent += chunk.length;
    this.#isHeadWritten = true;
    if (this.#client.write(bytes)) done();
    else this.#client.once("drain", done);
  }

  override _final(done: () => void): void {
    this.#client.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#client.off("data", this.#onData).off("end", this.#onEnd);
    done(error);
  }

  // Methods of a socket that http-proxy-3 calls. UpgradeTunnel sets options on the real socket.
  destroySoon(): void {
    this.end();
  }

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes.bytesReceived += chunk.length;
    if (!this.push(chunk)) this.#client.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };
}

/** WebSockets have no idle timeout. TCP keep-alive probes detect a dead peer. */
const keepAliveProbeMs = 30_000;

export type TunnelEnd = Extract<ErrorCode, "client-closed" | "upstream-reset"> | undefined;

/**
 * The two connections of an open WebSocket, until both are closed. http-proxy-3 pipes them, but leaves two cases open
 * that are handled here: an upstream whose client vanished (its pipe stops reading and never sees the end), and a
 * connection that is closed in one direction only.
 */
export class UpgradeTunnel {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #standIn: UpgradeStandIn;
  readonly #idleMs: number;
  readonly #closed: (error: TunnelEnd) => void;
  #openConnections = 2;
  #error: TunnelEnd;

  /** `closed` is called once, with an error if a connection was reset. */
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
      socket.on("end", () => this.#limitIdle());
      socket.on("timeout", () => this.#abort());
    }
    this.#client.on("error", () => this.#onError("client-closed", this.#upstream));
    this.#upstream.on("error", () => this.#onError("upstream-reset", this.#client));
    this.#client.on("close", () => this.#onClientClose());
    this.#upstream.on("close", () => this.#onUpstreamClose());
  }

  /** If the other connection is already destroyed, the error is its consequence, not the cause. */
  #onError(error: TunnelEnd, other: Socket): void {
    if (!other.destroyed) this.#error ??= error;
  }

  /** Once one side has ended, the other may finish, but must not be idle forever. */
  #limitIdle(): void {
    this.#client.setTimeout(this.#idleMs);
    this.#upstream.setTimeout(this.#idleMs);
  }

  #abort(): void {
    this.#client.destroy();
    this.#upstream.destroy();
  }

  #onClientClose(): void {
    this.#upstream.destroy();
    this.#standIn.destroy();
    this.#endIfClosed();
  }

  #onUpstreamClose(): void {
    this.#limitIdle();
    // The upstream's last bytes may still be queued for a slow client.
    if (this.#standIn.writableFinished) this.#client.destroySoon();
    else this.#standIn.once("finish", () => this.#client.destroySoon());
    this.#endIfClosed();
  }

  #endIfClosed(): void {
    this.#openConnections--;
    if (this.#openConnections === 0) this.#closed(this.#error);
  }
}
