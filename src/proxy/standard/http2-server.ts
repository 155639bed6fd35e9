import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerSessionOptions,
} from "node:http2";
import type { Socket } from "node:net";
import type { ErrorCode } from "../../errors.ts";
import { TokenBucket } from "../../upstream/token-bucket.ts";
import type { DownstreamInfo } from "../downstream.ts";
import type { ProxyContext } from "../proxy-context.ts";
import type { Snapshot } from "../snapshot.ts";
import type { ForwardContext } from "./forward.ts";
import { fieldBytes, Http2Client, Http2Head } from "./http2-client.ts";
import { serveRequest } from "./serve-request.ts";

/** The HTTP/2 connections of one listener: with prior knowledge (h2c), or as TLS agreed on by ALPN. */
export class Http2Server {
  readonly #context: ProxyContext;
  readonly #forwardContext: ForwardContext;
  readonly #connections = new Set<Http2Connection>();
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(context: ProxyContext, forwardContext: ForwardContext) {
    this.#context = context;
    this.#forwardContext = forwardContext;
  }

  /** Takes a connection over; what was read from it and not yet understood has been put back. */
  accept(socket: Socket, downstream: DownstreamInfo): void {
    // It may have gone while it was found out what it speaks.
    if (socket.destroyed) return;
    const connection = new Http2Connection(this.#context, this.#forwardContext, { socket, downstream }, () => {
      this.#connections.delete(connection);
      if (this.#connections.size === 0) this.#closing?.resolve();
    });
    this.#connections.add(connection);
    if (this.#closing !== undefined) connection.end();
  }

  /** Has every connection end behind the requests under way, and resolves once they have. */
  async close(): Promise<void> {
    this.#closing ??= Promise.withResolvers<void>();
    for (const connection of this.#connections) connection.end();
    if (this.#connections.size > 0) await this.#closing.promise;
  }

  /** Breaks off whatever `close` still waits for. */
  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}

/** How long an unused client connection is kept, as for HTTP/1.1. */
const keepAliveMs = 75_000;
/** How long a client may take to hear that no new stream is wanted before those that it opens are refused. */
const goAwayNoticeMs = 1_000;

/** How long the other end of a connection that ended may leave it open. */
const lingerMs = 2_000;

/** Bytes of a request's body that may be under way unread, of one stream and of a whole connection. */
const streamWindowBytes = 256 * 1024;
const connectionWindowBytes = 4 * 1024 * 1024;

/** Browsers cut Cookie into pieces, which count as one field. */
const cookiePieces = 64;
const pseudoFields = 8;

/** A connection, and who is at its other end. */
interface Accepted {
  readonly socket: Socket;
  readonly downstream: DownstreamInfo;
}

/**
 * One client's HTTP/2 connection. Its streams are requests like any other. What a peer could do without end at little
 * cost to itself has a budget; past it the connection ends with ENHANCE_YOUR_CALM.
 */
export class Http2Connection {
  readonly #context: ProxyContext;
  readonly #forwardContext: ForwardContext;
  readonly #session: ServerHttp2Session;
  readonly #downstream: DownstreamInfo;
  /** Streams reset before they were answered, by either side (CVE-2023-44487, CVE-2025-8671). */
  readonly #resets = new TokenBucket({ requests: 100, perMs: 1_000, burst: 500 });
  // gRPC measures the round trip with a ping or two each.
  readonly #pings = new TokenBucket({ requests: 500, perMs: 1_000, burst: 1_000 });
  readonly #settings = new TokenBucket({ requests: 10, perMs: 1_000, burst: 100 });
  readonly #socket: Socket;
  #streams = 0;
  #isEnding = false;
  #linger: NodeJS.Timeout | undefined;

  /** `closed` is called once, when the connection is no more. */
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
    session.setLocalWindowSize(connectionWindowBytes);
    session.setTimeout(keepAliveMs, () => this.#onIdle());
    session.on("stream", (stream, _headers: IncomingHttpHeaders, flags: number, fields: string[]) =>
      this.#onStream(stream, flags, fields),
    );
    session.on("ping", () => this.#spend(this.#pings));
    session.on("remoteSettings", () => this.#spend(this.#settings));
    // Whatever broke is also told by `close`.
    session.on("error", () => {});
    session.on("close", () => {
      clearTimeout(this.#linger);
      closed();
    });
    // There is no closing of one half in HTTP/2: who says that nothing more comes has gone.
    socket.once("end", () => this.destroy());
  }

  /** Lets the streams under way finish, and closes. A client hears of it before the streams that it opens are refused. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const session = this.#session;
    if (session.closed || session.destroyed) return;
    if (this.#streams === 0) {
      this.#close();
      return;
    }
    // RFC 9113 §6.8: what the client sends meanwhile is still taken.
    session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
    const timer = setTimeout(this.#close, goAwayNoticeMs);
    session.once("close", () => clearTimeout(timer));
    session.ping(this.#close);
  }

  readonly #close = (): void => {
    if (!this.#session.closed) this.#session.close();
    this.#lingerBriefly();
  };

  /** A closed session waits for the other side to close as well, and some never do. */
  #lingerBriefly(): void {
    if (this.#streams > 0 || !this.#session.closed) return;
    this.#linger ??= setTimeout(() => this.#socket.destroy(), lingerMs);
  }

  destroy(): void {
    this.#session.destroy();
  }

  #onStream(stream: ServerHttp2Stream, flags: number, fields: readonly string[]): void {
    const { snapshot } = this.#context;
    const body = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0 ? "follows" : "none";
    const head = Http2Head.read(fields, body);
    const client = new Http2Client(stream, head, body);
    const expectation = head?.header("expect");
    const expectsContinue = typeof expectation === "string" && expectation.toLowerCase() === "100-continue";
    this.#streams++;
    this.#downstream.requestStarted();
    const answering = serveRequest(this.#context, this.#forwardContext, {
      client,
      caller: this.#downstream.caller(snapshot),
      head,
      method: textOf(fields, ":method"),
      expectsContinue,
      refusal: refusalOf(snapshot, fields, expectation !== undefined && !expectsContinue),
    });
    stream.once("close", () => {
      this.#streams--;
      answering.closed();
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
    this.#session.destroy(tooMuch, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}

const tooMuch = new Error("The downstream did too much of what costs it little.");

function refusalOf(
  { config }: Snapshot,
  fields: readonly string[],
  unknownExpectation: boolean,
): ErrorCode | undefined {
  if (fieldBytes(fields) > config.limits.headerBytes) return "headers-too-large";
  return unknownExpectation ? "expectation-failed" : undefined;
}

/** A pseudo-field's value, of a head that may be none. */
function textOf(fields: readonly string[], name: string): string | undefined {
  const at = fields.indexOf(name);
  return at === -1 ? undefined : fields[at + 1];
}

function sessionOptions({ config }: Snapshot): ServerSessionOptions {
  const { headerBytes, headerCount, streams } = config.limits;
  return {
    // Twice what is taken: a request that is a little too large is told so by a 431, any other by the end of its stream.
    maxHeaderListPairs: 2 * headerCount + cookiePieces + pseudoFields,
    maxSettings: 32,
    maxOutstandingPings: 10,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    maxSessionMemory: 16,
    // Ours comes first, and says why.
    streamResetBurst: 2_000,
    streamResetRate: 500,
    // What an upstream says twice is the client's to judge, as with HTTP/1.1.
    strictSingleValueFields: false,
    settings: {
      maxConcurrentStreams: streams,
      maxHeaderListSize: 2 * headerBytes + 32 * headerCount,
      initialWindowSize: streamWindowBytes,
    },
  };
}
