import { type ClientRequest, IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { createProxyServer, type ProxyTarget } from "http-proxy-3";
import type { ErrorCode } from "../../errors.ts";
import { upstreamTlsOptions } from "../../upstream/connector.ts";
import type { EndpointAddress, Timeouts, UpstreamTls } from "../../upstream/service-spec.ts";
import type { AttemptFailure } from "../attempt-failure.ts";

/** An upstream's response head may not be larger than this, in bytes: as for any other request. */
const responseHeadBytes = 64 * 1024;

const noBytes = Buffer.alloc(0);

/** What is sent, and where. */
export interface HandshakeRequest {
  readonly address: EndpointAddress;
  readonly target: string;
  /** Flat: name, value, name, value; with Host, Connection and Upgrade. */
  readonly headers: readonly string[];
  readonly timeouts: Timeouts;
  readonly tls: UpstreamTls | undefined;
}

/** What a handshake comes to: one of `opened`, `answered`, `failed` is called, once, unless it was cancelled. */
export interface HandshakeEvents {
  /** The fields of the 101, flat, as the client gets them; asked just before `opened`. */
  switchedHeaders(upstream: readonly string[]): string[];
  /** The upstream switched, the client has the 101, and the bytes behind it are on their way. */
  opened(upstream: Socket): void;
  /** The upstream declined: an answer other than 101, its body unread. */
  answered(response: IncomingMessage): void;
  failed(failure: AttemptFailure, error?: Error): void;
}

/**
 * One attempt at a WebSocket handshake with one endpoint. http-proxy-3 sends the request, writes the 101 to the client's
 * stand-in and pipes the two connections into each other. The rest of what it does is kept from happening:
 *
 * - It rewrites the target as a URL (`/a/../b`, `/a|b`, a lone `?`) and merges header lines, so both are set after it.
 * - A client's `Expect` would make node send the head before that, so it never sees the client's request.
 * - It copies the upstream's hop-by-hop fields to the 101, and opens a tunnel whatever protocol the 101 names.
 * - It relays any other answer without backpressure, without filtering its fields, and with its status text unchecked;
 *   one that breaks off looks complete. `answered` takes such answers over.
 * - Its connect timeout does not cover the TLS handshake, it has none for the answer, and when the client leaves before
 *   the 101 it waits for the upstream all the same: hence the timer here, and `cancel`.
 */
export class UpgradeHandshake {
  readonly #request: HandshakeRequest;
  readonly #standIn: UpgradeStandIn;
  readonly #events: HandshakeEvents;
  #upstream: ClientRequest | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sent = false;
  /** Connected, and not yet by TLS. */
  #isSecuring = false;
  #done = false;

  constructor(request: HandshakeRequest, standIn: UpgradeStandIn, events: HandshakeEvents) {
    this.#request = request;
    this.#standIn = standIn;
    this.#events = events;
  }

  /** Throws where node refuses to send such a request; then nothing was sent and no event follows. */
  start(): void {
    const { address, timeouts, tls } = this.#request;
    const { rejectUnauthorized = true, ...secure } = upstreamTlsOptions(address, tls);
    const proxy = createProxyServer({
      target: targetOf(address),
      agent: false,
      toProxy: true,
      ignorePath: true,
      prependPath: false,
      // Whatever its name says, http-proxy-3 uses this object as the start of node's request options.
      ssl: { maxHeaderSize: responseHeadBytes, ...secure },
      secure: rejectUnauthorized,
    });
    // Without a listener of ours it throws every error of the stand-in, and the process ends.
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
    // Listeners fire in a later turn, so nobody misses an answer between its removal and ours.
    this.#upstream?.removeAllListeners("response").on("response", (response) => this.#onResponse(response));
  }

  /** Ends it without an event: nobody waits for the upstream any more. */
  cancel(): void {
    this.#finish();
    this.#breakOff();
  }

  #prepare(upstream: ClientRequest): void {
    this.#upstream = upstream;
    upstream.path = this.#request.target;
    for (const name of upstream.getHeaderNames()) upstream.removeHeader(name);
    for (const [name, values] of Object.entries(linesByName(this.#request.headers))) upstream.setHeader(name, values);
    // Node drops fields past its count, and with them a Content-Length; the head's size is bounded instead.
    upstream.maxHeadersCount = 0;
    upstream.on("socket", (socket) => this.#onSocket(socket));
    upstream.on("upgrade", (response, socket) => this.#onUpgrade(response, socket as Socket));
  }

  #onSocket(socket: Socket): void {
    if (!socket.connecting) this.#onConnected();
    else if (socket instanceof TLSSocket) {
      socket.once("connect", () => {
        this.#isSecuring = true;
      });
      socket.once("secureConnect", () => this.#onConnected());
    } else socket.once("connect", () => this.#onConnected());
  }

  #onConnected(): void {
    if (this.#done) return;
    this.#sent = true;
    this.#isSecuring = false;
    this.#arm(this.#request.timeouts.responseHeadersMs, "upstream-timeout");
  }

  /** Runs before http-proxy-3's own listener, which writes whatever stands in `headers` and pipes the connections. */
  #onUpgrade(response: IncomingMessage, socket: Socket): void {
    if (this.#done || response.headers.upgrade?.toLowerCase() !== "websocket") {
      // Both ends of the pipe that follows are then gone, so nothing comes of it.
      socket.destroy();
      this.#fail("upstream-malformed");
      return;
    }
    // A client may still have something to say after the upstream has finished, and be heard.
    socket.allowHalfOpen = true;
    response.headers = linesByName(this.#events.switchedHeaders(response.rawHeaders));
  }

  #onOpen(socket: Socket): void {
    if (this.#finish()) this.#events.opened(socket);
  }

  #onResponse(response: IncomingMessage): void {
    // A 101 without the fields that make it one; node takes it for a final answer.
    if ((response.statusCode ?? 0) < 200) this.#fail("upstream-malformed");
    else if (this.#finish()) {
      this.#standIn.destroy();
      this.#events.answered(response);
    }
  }

  #onError(error: Error & { readonly code?: unknown }): void {
    const malformed = typeof error.code === "string" && error.code.startsWith("HPE_");
    if (!this.#sent) this.#fail(this.#isSecuring ? "tls-failed" : "connect-failed", error);
    else this.#fail(malformed ? "upstream-malformed" : "upstream-reset");
  }

  #fail(failure: AttemptFailure, error?: Error): void {
    if (!this.#finish()) return;
    this.#breakOff();
    this.#events.failed(failure, error);
  }

  /** True the first time. */
  #finish(): boolean {
    clearTimeout(this.#timer);
    const first = !this.#done;
    this.#done = true;
    return first;
  }

  #breakOff(): void {
    this.#upstream?.destroy();
    this.#standIn.destroy();
  }

  #arm(ms: number, failure: AttemptFailure): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail(failure), ms);
  }
}

/** Where to, in http-proxy-3's words. The host is only for its connecting: the fields are set by us. */
function targetOf({ origin, host, place }: EndpointAddress): ProxyTarget {
  return "path" in place ? { protocol: "http:", host, port: 0, socketPath: place.path } : new URL(origin);
}

/** What http-proxy-3 sees of the request: that it is an upgrade. The real target and fields are set after it. */
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
 * Fields as an object of lists, the form in which node and http-proxy-3 write one line a value. Lines of one name come
 * together where the first stood, in their order and under its case; without a prototype, `__proto__` is a name like any.
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

/** Hears of every byte that crosses, once the connection is a tunnel. */
export interface TunnelBytes {
  bytesReceived: number;
  bytesSent: number;
}

/**
 * What http-proxy-3 is given in place of the client's socket, for one attempt. It ends, destroys and listens on the
 * socket it has at every failure, so with the real one a refused endpoint would cost the client its connection, and each
 * retry would leave more listeners behind. The stand-in is thrown away with its attempt instead.
 *
 * What is written to it goes to the client: first the head of the 101, then the tunnel. Nothing is read from the client
 * before `open`.
 */
export class UpgradeStandIn extends Duplex {
  readonly #client: Socket;
  readonly #bytes: TunnelBytes;
  #headWritten = false;
  #opened = false;

  constructor(client: Socket, bytes: TunnelBytes) {
    super({ allowHalfOpen: true });
    this.#client = client;
    this.#bytes = bytes;
  }

  /** Lets the client's bytes through: `early` ones first, which came before the upstream had agreed. */
  open(early: readonly Buffer[]): void {
    this.#opened = true;
    for (const chunk of early) this.#onData(chunk);
    this.#client.on("data", this.#onData).on("end", this.#onEnd);
  }

  override _read(): void {
    if (this.#opened) this.#client.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // http-proxy-3 writes the head of the 101 whole and first, and as UTF-8, where its bytes are Latin-1 and must arrive
    // as they came. It is no part of what the tunnel carried.
    const bytes = this.#headWritten ? chunk : Buffer.from(chunk.toString("utf8"), "latin1");
    if (this.#headWritten) this.#bytes.bytesSent += chunk.length;
    this.#headWritten = true;
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

  // The rest of a socket's interface that http-proxy-3 calls. The tunnel sets up the real socket itself.
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

/**
 * A WebSocket may be silent for as long as it likes, so there is no idle timeout. TCP asks after this long whether the
 * downstream is still there, and gives it up within seconds where it is not.
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
