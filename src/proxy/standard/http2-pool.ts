import { type ClientHttp2Session, type ClientSessionOptions, connect as connectHttp2, type Settings } from "node:http2";
import net, { type Socket } from "node:net";
import tls from "node:tls";
import type { Dispatcher } from "undici";
import { type ErrorCode, PerchError } from "../../errors.ts";
import { upstreamTlsOptions } from "../../upstream/connector.ts";
import type { EndpointAddress } from "../../upstream/service-spec.ts";
import { Http2UpstreamStream } from "./http2-stream.ts";
import type { TransportOptions, UpstreamRequest } from "./transport.ts";

/**
 * The HTTP/2 connections to one endpoint: as few as carry its requests at a time. Not undici's, which sends a request
 * again by itself that was refused, joins repeated fields, and neither sends trailers nor tells an answer of trailers
 * only from one without a body.
 */
export class Http2Upstream {
  readonly #address: EndpointAddress;
  readonly #way: TransportOptions;
  readonly #sessions = new Set<Http2UpstreamSession>();

  constructor(address: EndpointAddress, way: TransportOptions) {
    this.#address = address;
    this.#way = way;
  }

  /** As undici's: the handler hears of the request's start once it has a connection, and of its end once. */
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    (this.#withRoom() ?? this.#open()).send(request, handler);
  }

  /** What is in flight ends, then its connections close. */
  async close(): Promise<void> {
    for (const session of this.#sessions) session.retire();
  }

  /** Breaks off whatever is still in flight. */
  async destroy(): Promise<void> {
    for (const session of this.#sessions) session.destroy();
  }

  #withRoom(): Http2UpstreamSession | undefined {
    for (const session of this.#sessions) if (session.hasRoom) return session;
    return undefined;
  }

  #open(): Http2UpstreamSession {
    const session: Http2UpstreamSession = new Http2UpstreamSession(this.#address, this.#way, {
      gone: () => this.#sessions.delete(session),
      overflow: ({ request, handler }) => this.dispatch(request, handler),
    });
    this.#sessions.add(session);
    return session;
  }
}

/** Requests at a time on one connection, where the endpoint allows as many. */
const maxStreams = 100;
/** How long an unused connection to an endpoint is kept. */
const keepAliveMs = 30_000;
/** An endpoint's response head may not be larger than this, in bytes and fields. */
const responseHeadBytes = 64 * 1024;
const responseFields = 1_000;

/**
 * Bytes of a response that may be under way unread. A connection's window has room for all its streams', so that clients
 * who read slowly never hold up those who do not.
 */
const streamWindowBytes = 128 * 1024;
const connectionWindowBytes = maxStreams * streamWindowBytes;

/** Whoever gives a connection its requests. */
interface SessionOwner {
  /** No more requests should be given to it. */
  gone(): void;
  /** Takes a request back that waited for the connection, which turned out to have no room for it. */
  overflow(waiting: Waiting): void;
}

interface Waiting {
  readonly request: UpstreamRequest;
  readonly handler: Dispatcher.DispatchHandler;
}

/**
 * One HTTP/2 connection to an endpoint. It stands once the endpoint's settings came: until then nothing is sent, so that
 * what can not be connected to, or does not speak HTTP/2, has seen no request.
 */
export class Http2UpstreamSession {
  readonly #scheme: string;
  readonly #authority: string;
  readonly #socket: Socket;
  readonly #connectTimer: NodeJS.Timeout;
  readonly #owner: SessionOwner;
  #session: ClientHttp2Session | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #waiting: Waiting[] = [];
  #capacity = maxStreams;
  #streams = 0;
  #state: "connecting" | "open" | "gone" = "connecting";
  #isRetired = false;
  #isConnected = false;
  #isSecure = false;
  /** The last stream that the endpoint looked at, once it said so. */
  lastStream = Number.POSITIVE_INFINITY;

  constructor(address: EndpointAddress, { timeouts, tls: security }: TransportOptions, owner: SessionOwner) {
    const { place, scheme, host } = address;
    this.#scheme = scheme;
    this.#authority = "port" in place ? `${host.includes(":") ? `[${host}]` : host}:${place.port}` : host;
    this.#owner = owner;
    this.#connectTimer = setTimeout(() => this.#fail("connect-timeout"), timeouts.connectMs);
    const plain = { ...place, noDelay: true };
    this.#socket =
      scheme === "http"
        ? net.connect(plain)
        : tls.connect({ ...plain, ALPNProtocols: ["h2"], ...upstreamTlsOptions(address, security) });
    this.#socket.once("connect", () => {
      this.#isConnected = true;
    });
    this.#socket.on("error", (error) => this.#fail(this.#isSecuring ? "tls-failed" : "connect-failed", error));
    this.#socket.once("close", () => this.#fail(this.#isSecuring ? "tls-failed" : "connect-failed"));
    this.#socket.once(scheme === "http" ? "connect" : "secureConnect", () => this.#onConnected());
  }

  /** Between the connection and what is spoken on it: what goes wrong then is a matter of TLS. */
  get #isSecuring(): boolean {
    return this.#scheme === "https" && this.#isConnected && !this.#isSecure;
  }

  get hasRoom(): boolean {
    return this.#state !== "gone" && !this.#isRetired && this.#streams + this.#waiting.length < this.#capacity;
  }

  send(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    if (this.#session === undefined || this.#state === "connecting") this.#waiting.push({ request, handler });
    else this.#start(this.#session, { request, handler });
  }

  /** Takes no more requests, and closes behind those it has. */
  retire(): void {
    if (this.#state === "gone" || this.#isRetired) return;
    this.#isRetired = true;
    this.#owner.gone();
    this.#settle();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onConnected(): void {
    this.#isSecure = true;
    const { alpnProtocol } = this.#socket as Socket & { readonly alpnProtocol?: string | false };
    if (this.#scheme === "https" && alpnProtocol !== "h2") {
      this.#fail("connect-failed");
      return;
    }
    const options: ClientSessionOptions & { readonly strictSingleValueFields: boolean } = {
      // What a client says twice is the endpoint's to judge, as with HTTP/1.1. Node's declarations know it of servers only.
      strictSingleValueFields: false,
      createConnection: () => this.#socket,
      peerMaxConcurrentStreams: maxStreams,
      maxReservedRemoteStreams: 0,
      maxHeaderListPairs: responseFields,
      maxSessionMemory: 64,
      settings: { enablePush: false, initialWindowSize: streamWindowBytes, maxHeaderListSize: responseHeadBytes },
    };
    const session = connectHttp2(`${this.#scheme}://${this.#authority}`, options);
    session.once("connect", () => session.setLocalWindowSize(connectionWindowBytes));
    session.on("remoteSettings", (settings) => this.#onSettings(session, settings));
    session.on("goaway", (_code, lastStream) => {
      this.lastStream = lastStream ?? this.lastStream;
      this.retire();
    });
    // A session's error is told to its streams, and by `close`.
    session.on("error", () => {});
    session.on("close", () => this.#fail("connect-failed"));
  }

  #onSettings(session: ClientHttp2Session, { maxConcurrentStreams = maxStreams }: Settings): void {
    this.#capacity = Math.min(Math.max(maxConcurrentStreams, 1), maxStreams);
    if (this.#state !== "connecting") return;
    clearTimeout(this.#connectTimer);
    this.#session = session;
    this.#state = "open";
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) {
      if (this.#streams < this.#capacity) this.#start(session, one);
      else this.#owner.overflow(one);
    }
    this.#settle();
  }

  #start(session: ClientHttp2Session, { request, handler }: Waiting): void {
    clearTimeout(this.#idleTimer);
    this.#streams++;
    new Http2UpstreamStream(request, handler, {
      session,
      scheme: this.#scheme,
      authority: this.#authority,
      timeouts: { responseHeadersMs: request.headersTimeout, idleMs: request.bodyTimeout },
      wasSeen: (stream) => stream === undefined || stream <= this.lastStream,
      ended: (how) => this.#onEnded(how),
    }).start();
  }

  #onEnded(how: "ended" | "timed out"): void {
    this.#streams--;
    // The connection may be dead without a word: nobody else should have to wait to find out.
    if (how === "timed out") this.retire();
    this.#settle();
  }

  /** Closes an unused connection, later or now. */
  #settle(): void {
    if (this.#streams > 0 || this.#waiting.length > 0) return;
    if (this.#isRetired) this.#end();
    else if (this.#state === "open") this.#idleTimer = setTimeout(() => this.retire(), keepAliveMs);
  }

  /** Nothing is under way, so nothing is waited for: the other side may never close. */
  #end(): void {
    this.#session?.destroy();
    // After a GOAWAY node only ends its half, and a connection that nobody closes would outlive Perch itself.
    this.destroy();
  }

  /** The connection is no more. What waited for it was never sent. */
  #fail(code: Extract<ErrorCode, "connect-failed" | "connect-timeout" | "tls-failed">, cause?: Error): void {
    if (this.#state === "gone") return;
    if (!this.#isRetired) this.#owner.gone();
    this.#state = "gone";
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#idleTimer);
    this.#socket.destroy();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { handler, request } of waiting) {
      request.body?.destroy();
      handler.onResponseError?.(neverStarted, new PerchError(code, cause));
    }
  }
}

/** Stands in for the controller of a request that no connection was had for. */
const neverStarted: Dispatcher.DispatchController = {
  aborted: false,
  paused: false,
  reason: null,
  abort() {},
  pause() {},
  resume() {},
};
