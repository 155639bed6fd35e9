import { type ClientHttp2Session, type ClientSessionOptions, connect as connectHttp2, type Settings } from "node:http2";
import net, { type Socket } from "node:net";
import tls from "node:tls";
import type { Dispatcher } from "undici";
import { type ErrorCode, PerchError } from "../../errors.ts";
import { urlHost } from "../../http/authority.ts";
import { upstreamTlsOptions } from "../../upstream/connector.ts";
import { descriptorReserve } from "../../upstream/descriptor-reserve.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import type { ResponseHeadLimits } from "../../upstream/service-spec.ts";
import { maxSendHeaderBlockLength } from "./http2-head-limits.ts";
import { Http2UpstreamStream, type StreamEnd } from "./http2-stream.ts";
import { StreamFaults } from "./http2-stream-faults.ts";
import { neverStarted, type QueuedRequest, type TransportOptions, type UpstreamRequest } from "./transport.ts";

/**
 * The HTTP/2 connections to one endpoint; a new one is opened only when all are full. Not undici's client, which
 * retries refused requests by itself, joins repeated fields, sends no trailers, and does not distinguish a
 * trailers-only response from one without a body.
 */
export class Http2Upstream {
  readonly #endpoint: Endpoint;
  readonly #options: TransportOptions;
  readonly #sessions = new Set<Http2UpstreamSession>();

  constructor(endpoint: Endpoint, options: TransportOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
  }

  /** Calls the handler as undici does: `onRequestStart` once the request has a connection, then one end or error. */
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    (this.#withRoom() ?? this.#open()).send(request, handler);
  }

  /** Closes the connections once requests in flight have ended. */
  async close(): Promise<void> {
    for (const session of this.#sessions) session.retire();
  }

  /** Aborts requests in flight. */
  async destroy(): Promise<void> {
    for (const session of this.#sessions) session.destroy();
  }

  #withRoom(): Http2UpstreamSession | undefined {
    for (const session of this.#sessions) if (session.hasRoom) return session;
    return undefined;
  }

  #open(): Http2UpstreamSession {
    const session: Http2UpstreamSession = new Http2UpstreamSession(this.#endpoint, this.#options, {
      gone: () => this.#sessions.delete(session),
      overflow: ({ request, handler }) => this.dispatch(request, handler),
    });
    this.#sessions.add(session);
    return session;
  }
}

/** Maximum concurrent requests per connection. The endpoint may allow fewer. */
const maxStreams = 100;
/**
 * Flow-control windows for responses. The connection's window covers all its streams, so that slow clients never block
 * others.
 */
const streamWindowBytes = 128 * 1024;
const connectionWindowBytes = maxStreams * streamWindowBytes;

interface SessionOwner {
  /** The session takes no more requests. */
  gone(): void;
  /** Returns a queued request: the endpoint allows fewer streams than assumed. */
  overflow(queued: QueuedRequest): void;
}

/**
 * One HTTP/2 connection to an endpoint. Requests are sent only after the endpoint's SETTINGS frame, so that nothing was
 * sent if the connection fails or the endpoint does not speak HTTP/2.
 */
export class Http2UpstreamSession {
  readonly #scheme: string;
  readonly #authority: string;
  readonly #socket: Socket;
  readonly #connectTimer: NodeJS.Timeout;
  readonly #owner: SessionOwner;
  readonly #endpoint: Endpoint;
  /** Requests that may still be sent on it. */
  #requestsLeft: number;
  readonly #responseHead: ResponseHeadLimits;
  #session: ClientHttp2Session | undefined;
  #faults: StreamFaults | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #queue: QueuedRequest[] = [];
  #capacity = maxStreams;
  #streams = 0;
  #state: "connecting" | "open" | "gone" = "connecting";
  #isRetired = false;
  #isConnected = false;
  #isSecure = false;
  /** The last stream that the endpoint may have processed, from its GOAWAY. */
  lastStream = Number.POSITIVE_INFINITY;

  constructor(endpoint: Endpoint, options: TransportOptions, owner: SessionOwner) {
    const { timeouts, tls: security } = options;
    const { address } = endpoint;
    this.#responseHead = options.responseHead;
    const { place, scheme, host } = address;
    this.#endpoint = endpoint;
    this.#requestsLeft = endpoint.reuse.maxRequests;
    this.#scheme = scheme;
    this.#authority = "port" in place ? `${urlHost(host)}:${place.port}` : host;
    this.#owner = owner;
    // After a stall of the process, a connection that was made in time is noticed first: node runs timers before events.
    const timedOut = () => this.#state === "connecting" && this.#fail("connect-timeout");
    this.#connectTimer = setTimeout(() => setImmediate(timedOut), timeouts.connectMs);
    const plain = { ...place, noDelay: true };
    this.#socket =
      descriptorReserve.socketWithoutDescriptor() ??
      (scheme === "http"
        ? net.connect(plain)
        : tls.connect({ ...plain, ALPNProtocols: ["h2"], ...upstreamTlsOptions(address, security) }));
    this.#socket.once("connect", () => {
      this.#isConnected = true;
    });
    this.#socket.on("error", (error) => this.#fail(this.#isSecuring ? "tls-failed" : "connect-failed", error));
    this.#socket.once("close", () => this.#fail(this.#isSecuring ? "tls-failed" : "connect-failed"));
    this.#socket.once(scheme === "http" ? "connect" : "secureConnect", () => this.#onConnected());
  }

  /** Whether the TLS handshake is under way: errors now are TLS errors. */
  get #isSecuring(): boolean {
    return this.#scheme === "https" && this.#isConnected && !this.#isSecure;
  }

  get hasRoom(): boolean {
    return this.#state !== "gone" && !this.#isRetired && this.#streams + this.#queue.length < this.#capacity;
  }

  send(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    if (this.#session === undefined || this.#state === "connecting") this.#queue.push({ request, handler });
    else this.#start(this.#session, { request, handler });
  }

  /** Takes no more requests, and closes once those in flight have ended. */
  retire(): void {
    if (this.#state === "gone" || this.#isRetired) return;
    this.#isRetired = true;
    this.#owner.gone();
    this.#closeIfIdle();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onConnected(): void {
    this.#isSecure = true;
    const { alpnProtocol } = this.#socket as Socket & { readonly alpnProtocol?: string | false };
    if (this.#scheme === "https" && alpnProtocol !== "h2") {
      this.#fail("connect-failed", "no-http2");
      return;
    }
    const options: ClientSessionOptions & { readonly strictSingleValueFields: boolean } = {
      // Repeated fields are left to the endpoint to judge, as in HTTP/1.1. Node's types declare the option for servers
      // only.
      strictSingleValueFields: false,
      // Otherwise nghttp2 drops such fields; the stream finds them.
      strictFieldWhitespaceValidation: false,
      createConnection: () => this.#socket,
      peerMaxConcurrentStreams: maxStreams,
      maxReservedRemoteStreams: 0,
      // Twice the limits: heads up to this size are judged as those of HTTP/1.1, the stream of a larger one is reset.
      maxHeaderListPairs: 2 * this.#responseHead.fields,
      maxSendHeaderBlockLength,
      maxSessionMemory: 64,
      settings: {
        enablePush: false,
        initialWindowSize: streamWindowBytes,
        maxHeaderListSize: 2 * this.#responseHead.bytes + 32 * this.#responseHead.fields,
      },
    };
    const session = connectHttp2(`${this.#scheme}://${this.#authority}`, options);
    this.#faults = new StreamFaults(session);
    session.once("connect", () => session.setLocalWindowSize(connectionWindowBytes));
    session.on("remoteSettings", (settings) => this.#onSettings(session, settings));
    session.on("goaway", (_code, lastStream) => {
      this.lastStream = lastStream ?? this.lastStream;
      this.retire();
    });
    // Streams report the error, and `close` follows.
    session.on("error", () => {});
    session.on("close", () => this.#fail("connect-failed", "closed"));
  }

  #onSettings(session: ClientHttp2Session, { maxConcurrentStreams = maxStreams }: Settings): void {
    this.#capacity = Math.min(Math.max(maxConcurrentStreams, 1), maxStreams);
    if (this.#state !== "connecting") return;
    clearTimeout(this.#connectTimer);
    this.#session = session;
    this.#state = "open";
    const queue = this.#queue;
    this.#queue = [];
    for (const one of queue) {
      if (this.#streams < this.#capacity && !this.#isRetired) this.#start(session, one);
      else this.#owner.overflow(one);
    }
    this.#closeIfIdle();
  }

  #start(session: ClientHttp2Session, { request, handler }: QueuedRequest): void {
    clearTimeout(this.#idleTimer);
    this.#streams++;
    if (--this.#requestsLeft <= 0) this.retire();
    new Http2UpstreamStream(request, handler, {
      session,
      scheme: this.#scheme,
      authority: this.#authority,
      timeouts: { responseHeadersMs: request.headersTimeout, idleMs: request.bodyTimeout },
      responseHead: this.#responseHead,
      mayBeProcessed: (stream) => stream === undefined || stream <= this.lastStream,
      ended: (how) => this.#onEnded(how),
      closed: (code) => this.#faults?.streamClosed(code),
    }).start();
  }

  #onEnded(how: StreamEnd): void {
    this.#streams--;
    if (how === "unusable") this.retire();
    this.#closeIfIdle();
  }

  /** Closes an idle connection: a retired one now, others after the keep-alive time. */
  #closeIfIdle(): void {
    if (this.#streams > 0 || this.#queue.length > 0) return;
    if (this.#isRetired) this.#end();
    else if (this.#state === "open")
      this.#idleTimer = setTimeout(() => this.retire(), this.#endpoint.reuse.keepAliveMs);
  }

  #end(): void {
    this.#session?.destroy();
    // After a GOAWAY node closes only its half, and the endpoint may never close the other.
    this.destroy();
  }

  /** The connection has closed. Queued requests were never sent. */
  #fail(code: Extract<ErrorCode, "connect-failed" | "connect-timeout" | "tls-failed">, cause?: Error | string): void {
    if (this.#state === "gone") return;
    if (!this.#isRetired) this.#owner.gone();
    this.#state = "gone";
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#idleTimer);
    this.#socket.destroy();
    const queue = this.#queue;
    this.#queue = [];
    for (const { handler, request } of queue) {
      request.body?.destroy();
      handler.onResponseError?.(neverStarted, new PerchError(code, cause));
    }
  }
}
