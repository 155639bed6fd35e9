import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ErrorCode } from "../../errors.ts";
import { removeFields } from "../../http/header-fields.ts";
import { isResponseDue } from "../../node-internals.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import type { Timeouts } from "../../upstream/service-spec.ts";
import type { AttemptFailure } from "../attempt-failure.ts";
import type { Attempts } from "../attempts.ts";
import type { Exchange } from "../exchange.ts";
import { ForwardState, type ForwardTransport } from "../forward-state.ts";
import { errorOf, type LocalReply, localResponse } from "../local-reply.ts";
import type { ProxyContext } from "../proxy-context.ts";
import { attemptFields, upstreamHeaders, upstreamTarget } from "../request-headers.ts";
import { responseHeaders, responseTrailers } from "../response-headers.ts";
import { reasonPhrase, sendLocalResponse } from "./http1-client.ts";
import { headRefusal, type StandardHead } from "./request-head.ts";
import { type HandshakeEvents, UpgradeHandshake, UpgradeStandIn, UpgradeTunnel } from "./websocket-tunnel.ts";

/**
 * Whether a request is upgraded; node:http serves any other as a plain one, for `Upgrade` may always be ignored (RFC 9110
 * §7.8): h2c as curl and Java ask for it, a list of several protocols, a method other than GET, a request with a body.
 */
export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  const { method, httpVersion, headers, socket } = request;
  if (method !== "GET" || httpVersion !== "1.1") return false;
  if (headers.upgrade?.trim().toLowerCase() !== "websocket") return false;
  if (headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0) return false;
  // Pipelined behind a request that is not answered yet: node would hand the socket over at once, and that answer would
  // be written into the WebSocket. As a plain request it waits its turn.
  return !isResponseDue(socket);
}

/**
 * Endpoints that are spoken to by HTTP/2 would take a handshake of HTTP/1.1 for garbage: asking would only put the blame
 * on them, and a client could get all of them ejected.
 */
function unspoken({ route }: Exchange): ErrorCode | undefined {
  return route?.service?.protocol === "http2" ? "no-websocket" : undefined;
}

/** The WebSocket upgrades of one listener, under way or open. */
export class Upgrades {
  readonly #context: ProxyContext;
  readonly #clients = new Set<Duplex>();
  #ending = false;

  constructor(context: ProxyContext) {
    this.#context = context;
  }

  /** Connections of clients that asked for an upgrade and are not closed yet. */
  get open(): number {
    return this.#clients.size;
  }

  /**
   * Takes a connection that node:http has handed over, with what came behind the head in `early`, and ends the exchange
   * in its time: with the tunnel, or with the answer where none came about.
   */
  begin(exchange: Exchange, head: StandardHead, request: IncomingMessage, socket: Duplex, early: Buffer): void {
    const client = socket as Socket;
    this.#clients.add(client);
    client.on("close", () => this.#clients.delete(client));
    // node:http has taken its own listener away; whatever breaks is also told by `close`.
    client.on("error", () => {});
    const refusal = this.#refusal(head) ?? exchange.begin() ?? unspoken(exchange);
    const { attempts, route } = exchange;
    if (refusal === undefined && attempts !== undefined && route !== undefined) {
      const { timeouts } = route;
      new UpgradeExchange(exchange, { attempts, timeouts }, head, request, client, early, this.#context.defect).start();
      return;
    }
    const ending = refusal ?? "internal-error";
    exchange.end(new UpgradeAnswer(exchange, request, client).refuse(ending), errorOf(ending));
  }

  /**
   * Open WebSockets live on; one asked for from now on, over a connection made before, is refused: it would be cut in the
   * middle of its first words, where an answer lets the client turn to a process that stays.
   */
  end(): void {
    this.#ending = true;
  }

  /** Breaks off every upgrade and tunnel. */
  destroy(): void {
    for (const client of this.#clients) client.destroy();
  }

  #refusal(head: StandardHead): ErrorCode | undefined {
    const refused = headRefusal(head, this.#context.snapshot.config.limits);
    return refused ?? (this.#ending ? "overloaded" : undefined);
  }
}

/** Bytes kept of a client that speaks before it was answered; then it has to wait. */
const earlyBytesLimit = 64 * 1024;

/** A tunnel may stay open for good. */
const noTotalMs = 0;

const upgradeFields = ["Connection", "Upgrade", "Upgrade", "websocket"];

/**
 * Forwards one WebSocket upgrade, the last two stages of its chain: endpoints are tried until one answers; a 101 makes a
 * tunnel, any other answer is relayed, none becomes an error of ours. The exchange ends with the answer, or with the
 * tunnel. A client that closes even one half before it was answered has left: no WebSocket could come of it.
 */
class UpgradeExchange implements HandshakeEvents, ForwardTransport {
  readonly #exchange: Exchange;
  readonly #attempts: Attempts;
  readonly #timeouts: Timeouts;
  readonly #request: IncomingMessage;
  readonly #client: Socket;
  readonly #headers: string[];
  #early: Buffer[];
  #earlyBytes = 0;
  #standIn: UpgradeStandIn;
  #handshake: UpgradeHandshake | undefined;
  readonly #state: ForwardState;

  /** `early`: what the client sent behind the head. */
  constructor(
    exchange: Exchange,
    { attempts, timeouts }: { readonly attempts: Attempts; readonly timeouts: Timeouts },
    head: StandardHead,
    request: IncomingMessage,
    client: Socket,
    early: Buffer,
    defect: (error: unknown) => void,
  ) {
    this.#exchange = exchange;
    this.#attempts = attempts;
    this.#timeouts = timeouts;
    this.#request = request;
    this.#client = client;
    this.#headers = upstreamHeaders(exchange, head.rawHeaders, head.version);
    this.#early = early.length === 0 ? [] : [early];
    this.#standIn = new UpgradeStandIn(client, exchange);
    this.#state = new ForwardState(exchange, attempts, this, defect);
  }

  start(): void {
    this.#client.on("data", this.#onEarly).on("end", this.#onGone).on("close", this.#onGone);
    this.#state.start(noTotalMs);
    this.#state.begin();
  }

  readonly isReady = true;
  /** The handshake is a GET without a body (RFC 9110 §9.2.2). */
  readonly bodyState = "replayable";
  readonly awaitsBody = false;
  readonly clientIsBehind = false;

  queued(): void {}

  send(endpoint: Endpoint): void {
    this.#standIn = new UpgradeStandIn(this.#client, this.#exchange);
    const timeouts = this.#timeouts;
    const request = {
      address: endpoint.address,
      target: upstreamTarget(this.#exchange),
      headers: [...attemptFields(this.#exchange, this.#headers), ...upgradeFields],
      timeouts,
      tls: this.#exchange.route?.service?.tls,
    };
    this.#handshake = new UpgradeHandshake(request, this.#standIn, this);
    try {
      this.#handshake.start();
    } catch {
      // Nothing here should throw, but a library that does must cost one request, not the process.
      this.#state.abort("internal-error");
    }
  }

  switchedHeaders(upstream: readonly string[]): string[] {
    const headers = responseHeaders(this.#exchange, upstream, "no trailers");
    // RFC 9110 §8.6: not in a 1xx, where it would confuse whoever stands between the client and us.
    removeFields(headers, ["content-length"]);
    return [...headers, ...upgradeFields];
  }

  opened(upstream: Socket): void {
    this.#state.responseStarted(101);
    this.#unwatch();
    const { idleMs } = this.#timeouts;
    const tunnel = new UpgradeTunnel(this.#client, upstream, this.#standIn, idleMs, (error) => {
      if (error === "upstream-reset") this.#attempts.failed(error);
      this.#exchange.end(101, error);
    });
    tunnel.start();
    this.#standIn.open(this.#early);
    this.#early = [];
  }

  answered(response: IncomingMessage): void {
    this.#unwatch();
    const answer = new UpgradeAnswer(this.#exchange, this.#request, this.#client);
    const { statusCode = 0 } = response;
    const relayed = answer.relay(response, this.#timeouts.idleMs, (error) => {
      if (error === "upstream-reset" || error === "upstream-timeout") this.#attempts.failed(error);
      this.#exchange.end(error === "client-closed" ? 499 : statusCode, error);
    });
    if (relayed) {
      this.#state.responseStarted(statusCode);
      return;
    }
    response.destroy();
    this.#attempts.failed("upstream-malformed");
    this.#exchange.end(answer.refuse("upstream-malformed"), "upstream-malformed");
  }

  failed(failure: AttemptFailure, error?: Error): void {
    this.#state.attemptFailed(failure, error);
  }

  /** A handshake that failed has cleaned up after itself. */
  abandonAttempt(): void {}

  cut(): void {
    this.#client.destroy();
  }

  reply(code: ErrorCode): void {
    this.#unwatch();
    const answer = new UpgradeAnswer(this.#exchange, this.#request, this.#client);
    this.#state.end("complete", answer.refuse(code, this.#attempts.retryAfterSeconds));
  }

  #unwatch(): void {
    this.#client.off("data", this.#onEarly).off("end", this.#onGone).off("close", this.#onGone);
  }

  readonly #onEarly = (chunk: Buffer): void => {
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes >= earlyBytesLimit) this.#client.pause();
  };

  readonly #onGone = (): void => {
    this.#unwatch();
    this.#handshake?.cancel();
    this.#client.destroy();
    this.#state.end("incomplete", 0);
  };
}

/** How relaying an upstream's answer ended. */
export type RelayEnd = Extract<ErrorCode, "client-closed" | "upstream-reset" | "upstream-timeout"> | undefined;

/**
 * The answer to an upgrade that did not come about, on a socket that node:http has let go of. node's own response frames
 * and checks it, as it does any other; what the server does for it otherwise (`drain`, timeouts, closing) is done here.
 * It is always the connection's last.
 */
class UpgradeAnswer {
  readonly #exchange: Exchange;
  readonly #request: IncomingMessage;
  readonly #client: Socket;
  readonly #response: ServerResponse;

  constructor(exchange: Exchange, request: IncomingMessage, client: Socket) {
    this.#exchange = exchange;
    this.#request = request;
    this.#client = client;
    this.#response = new ServerResponse(request);
    this.#response.assignSocket(client);
    this.#response.on("finish", () => client.destroySoon());
    // Nobody reads what the client says from here on, but its leaving has to be noticed.
    client.resume();
  }

  /** Answers in the upstream's place; returns the status. */
  refuse(ending: LocalReply, retryAfterSeconds = 1): number {
    const answer = localResponse(ending, this.#exchange.requestId, this.#request.headers.accept, retryAfterSeconds);
    this.#exchange.bytesSent = answer.body.length;
    sendLocalResponse(this.#request, this.#response, answer, "close");
    return answer.status;
  }

  /**
   * Passes the upstream's answer on, streaming. False where its head can not be written as HTTP (a control character in
   * the status text, say); then nothing was. `ended` is called once; where it names an error the transfer was cut, and
   * the client can tell, since neither its length nor its last chunk arrives.
   */
  relay(upstream: IncomingMessage, idleMs: number, ended: (error: RelayEnd) => void): boolean {
    const response = this.#response;
    const status = upstream.statusCode ?? 0;
    const trailing = upstream.headers["transfer-encoding"] === "chunked" && status !== 204 && status !== 304;
    const trailers = trailing ? "trailers may follow" : "no trailers";
    const headers = responseHeaders(this.#exchange, upstream.rawHeaders, trailers);
    headers.push("Connection", "close");
    try {
      response.writeHead(status, reasonPhrase(status, upstream.statusMessage), headers);
    } catch {
      // It keeps the text that it refused, and would refuse our own answer for it.
      response.statusMessage = "";
      return false;
    }
    // node keeps the head back until there is a body, which may take its time, or break off before it began.
    // Not flushHeaders, which writes the head as UTF-8: its bytes are Latin-1 here, and must arrive as they came.
    response.write(noBytes);
    let open = true;
    const end = (error: RelayEnd) => {
      if (!open) return;
      open = false;
      if (error !== undefined) {
        upstream.destroy();
        this.#client.destroy();
      }
      ended(error);
    };
    upstream.on("data", (chunk: Buffer) => this.#pass(upstream, chunk));
    upstream.on("error", () => end("upstream-reset"));
    upstream.on("end", () => {
      const trailers = responseTrailers(upstream.rawTrailers);
      if (trailers.length > 0) response.addTrailers(trailers);
      response.end();
    });
    // The client's connection is silent when either side is; whose turn it was tells whose fault it is.
    this.#client.setTimeout(idleMs, () => end(this.#client.writableNeedDrain ? "client-closed" : "upstream-timeout"));
    // node:http takes the end of one half for a client that has left, so it is the same here.
    this.#client.on("end", () => end("client-closed")).on("close", () => end("client-closed"));
    response.on("finish", () => end(undefined));
    return true;
  }

  #pass(upstream: IncomingMessage, chunk: Buffer): void {
    this.#exchange.bytesSent += chunk.length;
    if (this.#response.write(chunk)) return;
    upstream.pause();
    this.#client.once("drain", () => upstream.resume());
  }
}

const noBytes = Buffer.alloc(0);
