import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerSessionOptions,
} from "node:http2";
import type { Socket } from "node:net";
import { hasBlankEdges } from "../../http/header-fields.ts";
import { TokenBucket } from "../../upstream/token-bucket.ts";
import type { DownstreamInfo } from "../downstream.ts";
import { type Refusal, refusal } from "../local-reply.ts";
import type { ProxyContext } from "../proxy-context.ts";
import type { Snapshot } from "../snapshot.ts";
import type { ForwardContext } from "./forward.ts";
import { fieldBytes, Http2Client, Http2Head } from "./http2-client.ts";
import { maxSendHeaderBlockLength } from "./http2-head-limits.ts";
import { StreamFaults } from "./http2-stream-faults.ts";
import { serveRequest } from "./serve-request.ts";

/** The HTTP/2 connections of one listener: with prior knowledge (h2c), or negotiated by ALPN. */
export class Http2Server {
  readonly #context: ProxyContext;
  readonly #forwardContext: ForwardContext;
  readonly #connections = new Set<Http2Connection>();
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(context: ProxyContext, forwardContext: ForwardContext) {
    this.#context = context;
    this.#forwardContext = forwardContext;
  }

  /** Takes over a connection. Data that was already read must have been put back. */
  accept(socket: Socket, downstream: DownstreamInfo): void {
    // It may have closed during protocol detection.
    if (socket.destroyed) return;
    const connection = new Http2Connection(this.#context, this.#forwardContext, { socket, downstream }, () => {
      this.#connections.delete(connection);
      if (this.#connections.size === 0) this.#closing?.resolve();
    });
    this.#connections.add(connection);
    if (this.#closing !== undefined) connection.end();
  }

  /** Closes every connection after its requests in flight, and resolves once all have closed. */
  async close(): Promise<void> {
    this.#closing ??= Promise.withResolvers<void>();
    for (const connection of this.#connections) connection.end();
    if (this.#connections.size > 0) await this.#closing.promise;
  }

  /** Aborts everything that `close` still waits for. */
  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}

/** How long an idle client connection is kept, as for HTTP/1.1. */
const keepAliveMs = 75_000;
/** The time between the first GOAWAY and the refusal of new streams, for clients that do not answer the ping. */
const goAwayNoticeMs = 1_000;

/** How long a closed session waits for the peer to close the connection. */
const lingerMs = 2_000;

/** Flow-control windows for request bodies. */
const streamWindowBytes = 256 * 1024;
const connectionWindowBytes = 4 * 1024 * 1024;

/** Browsers split Cookie into several fields, which count as one. */
const maxCookieFields = 64;
const maxPseudoFields = 8;

interface Accepted {
  readonly socket: Socket;
  readonly downstream: DownstreamInfo;
}

/**
 * One client's HTTP/2 connection. Frames that are cheap for the client and costly for Perch have a budget; over it the
 * connection closes with ENHANCE_YOUR_CALM.
 */
class Http2Connection {
  readonly #context: ProxyContext;
  readonly #forwardContext: ForwardContext;
  readonly #session: ServerHttp2Session;
  readonly #downstream: DownstreamInfo;
  /** Streams reset before their response, by either side (CVE-2023-44487, CVE-2025-8671). */
  readonly #resets = new TokenBucket({ requests: 100, perMs: 1_000, burst: 500 });
  /** gRPC clients measure round trips with a few pings each. */
  readonly #pings = new TokenBucket({ requests: 500, perMs: 1_000, burst: 1_000 });
  readonly #settings = new TokenBucket({ requests: 10, perMs: 1_000, burst: 100 });
  readonly #socket: Socket;
  readonly #faults: StreamFaults;
  #streams = 0;
  #isClosing = false;
  #linger: NodeJS.Timeout | undefined;

  /** `closed` is called once, when the connection has closed. */
  constructor(
    context: ProxyContext,
    forwardContext: ForwardContext,
    { socket, downstream }: Accepted,
    closed: () => void,
  ) {
    this.#context = context;
    this.#forwardContext = forwardContext;
    this.#downstream = downstream;
    this.#socket = socket;
    const session = performServerHandshake(socket, sessionOptions(context.snapshot));
    this.#session = session;
    this.#faults = new StreamFaults(session);
    session.setLocalWindowSize(connectionWindowBytes);
    session.setTimeout(keepAliveMs, () => this.#onIdle());
    session.on("stream", (stream, _headers: IncomingHttpHeaders, flags: number, fields: string[]) =>
      this.#onStream(stream, flags, fields),
    );
    session.on("ping", () => this.#spend(this.#pings));
    session.on("remoteSettings", () => this.#spend(this.#settings));
    // `close` follows every error.
    session.on("error", () => {});
    session.on("close", () => {
      clearTimeout(this.#linger);
      closed();
    });
    // HTTP/2 has no half-closed connections: a client that ends its half has gone.
    socket.once("end", () => this.destroy());
  }

  /** Closes after the streams in flight. New streams are refused only after the client had time to process a GOAWAY. */
  end(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const session = this.#session;
    if (session.closed || session.destroyed) return;
    if (this.#streams === 0) {
      this.#close();
      return;
    }
    // RFC 9113 §6.8: streams opened until the final GOAWAY are still served.
    session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
    const timer = setTimeout(this.#close, goAwayNoticeMs);
    session.once("close", () => clearTimeout(timer));
    session.ping(this.#close);
  }

  readonly #close = (): void => {
    if (!this.#session.closed) this.#session.close();
    this.#lingerBriefly();
  };

  /** A closed session waits for the peer to close as well, but some never do. */
  #lingerBriefly(): void {
    if (this.#streams > 0 || !this.#session.closed) return;
    this.#linger ??= setTimeout(() => this.#socket.destroy(), lingerMs);
  }

  destroy(): void {
    this.#session.destroy();
  }

  #onStream(stream: ServerHttp2Stream, flags: number, fields: readonly string[]): void {
    const { snapshot } = this.#context;
    if (hasBlankEdges(fields)) {
      stream.on("error", () => {}).close(constants.NGHTTP2_PROTOCOL_ERROR);
      this.#spend(this.#resets);
      return;
    }
    const body = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0 ? "follows" : "none";
    const head = Http2Head.read(fields, body);
    const accepted = "rejected" in head ? undefined : head;
    const client = new Http2Client(stream, accepted, body);
    const expectation = accepted?.header("expect");
    const expectsContinue = typeof expectation === "string" && expectation.toLowerCase() === "100-continue";
    this.#streams++;
    this.#downstream.requestsStarted(1);
    const active = serveRequest(this.#context, this.#forwardContext, {
      client,
      caller: this.#downstream.caller(snapshot),
      head,
      expectsContinue,
      refusal: refusalOf(snapshot, fields, expectation !== undefined && !expectsContinue),
    });
    stream.once("close", () => {
      this.#streams--;
      this.#faults.streamClosed(stream.rstCode);
      active.closed();
      if (!client.headSent) this.#spend(this.#resets);
      this.#lingerBriefly();
    });
    if (this.#context.draining || this.#downstream.maxRequestsReached(snapshot)) this.end();
  }

  #onIdle(): void {
    if (this.#streams === 0) this.end();
  }

  #spend(budget: TokenBucket): void {
    if (budget.take(this.#context.monotonicMs()) || this.#session.destroyed) return;
    this.#session.destroy(floodError, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}

const floodError = new Error("The client exceeded a limit of HTTP/2 frames.");

function refusalOf({ config }: Snapshot, fields: readonly string[], unknownExpectation: boolean): Refusal | undefined {
  if (fieldBytes(fields) > config.limits.headerBytes) return refusal("headers-too-large", "size");
  return unknownExpectation ? refusal("expectation-failed", "unknown-expectation") : undefined;
}

function sessionOptions({ config }: Snapshot): ServerSessionOptions {
  const { headerBytes, headerCount, streams } = config.limits;
  return {
    // Twice the limits: heads up to this size get a 431, larger ones a stream reset.
    maxHeaderListPairs: 2 * headerCount + maxCookieFields + maxPseudoFields,
    maxSendHeaderBlockLength,
    maxSettings: 32,
    maxOutstandingPings: 10,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    maxSessionMemory: 16,
    // The budget above is smaller, and sends ENHANCE_YOUR_CALM.
    streamResetBurst: 2_000,
    streamResetRate: 500,
    // Otherwise nghttp2 drops such fields; `hasBlankEdges` finds them.
    strictFieldWhitespaceValidation: false,
    // Repeated response fields are left to the client to judge, as in HTTP/1.1.
    strictSingleValueFields: false,
    settings: {
      maxConcurrentStreams: streams,
      maxHeaderListSize: 2 * headerBytes + 32 * headerCount,
      initialWindowSize: streamWindowBytes,
    },
  };
}
