import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type ErrorCode, errorTable } from "../../errors.ts";
import { isResponseDue } from "../../node-internals.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import { defaultResponseHead, type Timeouts } from "../../upstream/service-spec.ts";
import type { AttemptFailure } from "../attempt-failure.ts";
import type { Attempts } from "../attempts.ts";
import type { Exchange } from "../exchange.ts";
import { ForwardState, type ForwardTransport } from "../forward-state.ts";
import { errorOf, type LocalReply, type Refusal, refusal } from "../local-reply.ts";
import type { ProxyContext } from "../proxy-context.ts";
import { attemptFields, upstreamHeaders, upstreamTarget } from "../request-headers.ts";
import { isBodiless, responseHeaders, responseTrailers } from "../response-headers.ts";
import { reasonPhrase, sendLocalResponse } from "./http1-client.ts";
import { headRefusal, type StandardHead } from "./request-head.ts";
import { handshakeRefusal, keyOf } from "./websocket-handshake.ts";
import { type HandshakeEvents, UpgradeHandshake, UpgradeStandIn, UpgradeTunnel } from "./websocket-tunnel.ts";

/**
 * Whether a request is a WebSocket upgrade. Others are served as plain requests, since `Upgrade` may be ignored (RFC
 * 9110 §7.8): h2c as curl and Java request it, lists of protocols, methods other than GET, requests with a body.
 */
export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  const { method, httpVersion, headers, socket } = request;
  if (method !== "GET" || httpVersion !== "1.1") return false;
  if (headers.upgrade?.trim().toLowerCase() !== "websocket") return false;
  if (headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0) return false;
  // Pipelined: node would hand over the socket at once, and the response of the request before would be written into
  // the WebSocket. A plain request is queued instead.
  return !isResponseDue(socket);
}

/** A request for a WebSocket. */
interface Upgrade {
  readonly exchange: Exchange;
  readonly head: StandardHead;
  readonly request: IncomingMessage;
  readonly client: Socket;
}

/** What a client sends while its upgrade waits. One that closes even one half has left. */
class EarlyBytes {
  readonly #client: Socket;
  readonly #chunks: Buffer[];
  #length: number;

  constructor(client: Socket, early: Buffer) {
    this.#client = client;
    this.#chunks = [early];
    this.#length = early.length;
    client.on("data", this.#onData).on("end", this.#onEnd);
  }

  /** What has been received. From now on the client's bytes are somebody else's. */
  end(): Buffer {
    this.#client.off("data", this.#onData).off("end", this.#onEnd);
    if (this.#client.isPaused()) this.#client.resume();
    return Buffer.concat(this.#chunks);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length >= maxEarlyBytes) this.#client.pause();
  };

  readonly #onEnd = (): void => {
    this.#client.destroy();
  };
}

/** The WebSocket upgrades of one listener: handshakes and open tunnels. */
export class Upgrades {
  readonly #context: ProxyContext;
  readonly #clients = new Set<Duplex>();
  #isDraining = false;

  constructor(context: ProxyContext) {
    this.#context = context;
  }

  /**
   * Takes over a connection from node:http. `early`: bytes received after the head. The exchange ends with the tunnel,
   * or with the response that declines it.
   */
  begin(exchange: Exchange, head: StandardHead, request: IncomingMessage, socket: Duplex, early: Buffer): void {
    const client = socket as Socket;
    this.#clients.add(client);
    client.on("close", () => this.#clients.delete(client));
    // node:http has removed its listener. `close` follows every error.
    client.on("error", () => {});
    const refused = this.#refusal(head);
    const upgrade = { exchange, head, request, client };
    if (refused !== undefined || exchange.findRoute()?.rateLimit?.isShared !== true) {
      this.#proceed(upgrade, early, refused);
      return;
    }
    const held = new EarlyBytes(client, early);
    if (!exchange.awaitsVerdict(() => this.#proceedLater(upgrade, held))) this.#proceed(upgrade, held.end(), undefined);
  }

  /** After the verdict of a shared rate limit. */
  #proceedLater(upgrade: Upgrade, held: EarlyBytes): void {
    const { client, exchange } = upgrade;
    const early = held.end();
    if (client.destroyed) {
      exchange.end(errorTable["client-closed"].status, "client-closed");
      return;
    }
    try {
      this.#proceed(upgrade, early, this.#isDraining ? refusal("overloaded", "draining") : undefined);
    } catch (error) {
      this.#context.defect(error);
      client.destroy();
    }
  }

  #proceed({ exchange, head, request, client }: Upgrade, early: Buffer, alreadyRefused: Refusal | undefined): void {
    const refused = alreadyRefused ?? exchange.begin() ?? unsupported(exchange);
    const { attempts, route } = exchange;
    if (refused === undefined && attempts !== undefined && route !== undefined) {
      const { timeouts } = route;
      new UpgradeExchange(exchange, { attempts, timeouts }, head, request, client, early, this.#context.defect).start();
      return;
    }
    const reply = refused ?? refusal("internal-error", "defect");
    exchange.end(new UpgradeResponse(exchange, request, client).reply(reply), errorOf(reply));
  }

  /**
   * Rejects further upgrades on open connections: they would be aborted soon, and a client that is rejected can connect
   * to another process. Open WebSockets stay.
   */
  drain(): void {
    this.#isDraining = true;
  }

  /** Aborts all handshakes and tunnels. */
  destroy(): void {
    for (const client of this.#clients) client.destroy();
  }

  #refusal(head: StandardHead): Refusal | undefined {
    const refused = headRefusal(head, this.#context.snapshot.config.limits) ?? handshakeRefusal(head);
    return refused ?? (this.#isDraining ? refusal("overloaded", "draining") : undefined);
  }
}

/**
 * HTTP/2 endpoints cannot parse an HTTP/1.1 handshake. The failure would count against them, and a client could get all
 * of them ejected.
 */
function unsupported({ route }: Exchange): Refusal | undefined {
  return route?.service?.protocol === "http2" ? refusal("no-websocket", "http2-service") : undefined;
}

/** Bytes buffered of a client that sends before the 101. Then reading pauses. */
const maxEarlyBytes = 64 * 1024;

/** Tunnels have no time limit. */
const noTotalMs = 0;

const upgradeFields = ["Connection", "Upgrade", "Upgrade", "websocket"];

/**
 * Forwards one WebSocket upgrade: the last two stages of the chain. A 101 opens a tunnel, any other response is
 * relayed, and without a response the client gets a local reply. A client that closes even one half before that has
 * left, since a WebSocket needs both.
 */
class UpgradeExchange implements HandshakeEvents, ForwardTransport {
  readonly #exchange: Exchange;
  readonly #attempts: Attempts;
  readonly #timeouts: Timeouts;
  readonly #request: IncomingMessage;
  readonly #client: Socket;
  readonly #headers: string[];
  readonly #key: string;
  #early: Buffer[];
  #earlyBytes = 0;
  #standIn: UpgradeStandIn;
  #handshake: UpgradeHandshake | undefined;
  readonly #state: ForwardState;

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
    this.#key = keyOf(head) ?? "";
    this.#early = early.length === 0 ? [] : [early];
    this.#standIn = new UpgradeStandIn(client, exchange);
    this.#state = new ForwardState(this, defect);
    this.#state.restart(exchange, attempts);
  }

  start(): void {
    this.#client.on("data", this.#onEarly).on("end", this.#onClientClosed).on("close", this.#onClientClosed);
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
      responseHead: this.#exchange.route?.service?.responseHead ?? defaultResponseHead,
      key: this.#key,
    };
    this.#handshake = new UpgradeHandshake(request, this.#standIn, this);
    try {
      this.#handshake.start();
    } catch {
      // An exception of a library must fail one request, not the process.
      this.#state.abort("internal-error");
    }
  }

  switchedHeaders(upstream: readonly string[]): string[] {
    return [...responseHeaders(this.#exchange, 101, upstream, "no trailers"), ...upgradeFields];
  }

  opened(upstream: Socket): void {
    this.#state.responseStarted(101);
    this.#unwatch();
    const { idleMs } = this.#timeouts;
    const tunnel = new UpgradeTunnel(this.#client, upstream, this.#standIn, idleMs, (error) => {
      if (error === "upstream-reset") this.#attempts.failed(error, "within-response");
      this.#exchange.end(101, error);
    });
    tunnel.start();
    this.#standIn.open(this.#early);
    this.#early = [];
  }

  declined(upstream: IncomingMessage): void {
    this.#unwatch();
    const response = new UpgradeResponse(this.#exchange, this.#request, this.#client);
    const { statusCode = 0 } = upstream;
    const relayed = response.relay(upstream, this.#timeouts.idleMs, (error) => {
      if (error === "upstream-reset") this.#attempts.failed(error, "within-response");
      if (error === "upstream-timeout") this.#attempts.failed(error, "idle");
      this.#exchange.end(error === "client-closed" ? 499 : statusCode, error);
    });
    if (relayed) {
      this.#state.responseStarted(statusCode);
      return;
    }
    upstream.destroy();
    const fault = refusal("upstream-malformed", "invalid-header-value");
    this.#attempts.failed("upstream-malformed", fault.cause);
    this.#exchange.end(response.reply(fault), fault.error);
  }

  failed(failure: AttemptFailure, why?: Error | string): void {
    this.#state.attemptFailed(failure, why);
  }

  /** A failed handshake has already cleaned up. */
  abandonAttempt(): void {}

  cut(): void {
    this.#client.destroy();
  }

  reply(refused: Refusal): void {
    this.#unwatch();
    const response = new UpgradeResponse(this.#exchange, this.#request, this.#client);
    this.#state.end("complete", response.reply(refused));
  }

  #unwatch(): void {
    this.#client.off("data", this.#onEarly).off("end", this.#onClientClosed).off("close", this.#onClientClosed);
  }

  readonly #onEarly = (chunk: Buffer): void => {
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes >= maxEarlyBytes) this.#client.pause();
  };

  readonly #onClientClosed = (): void => {
    this.#unwatch();
    this.#handshake?.cancel();
    this.#client.destroy();
    this.#state.end("incomplete", 0);
  };
}

/** The error that aborted a relayed response; undefined if it is complete. */
type RelayEnd = Extract<ErrorCode, "client-closed" | "upstream-reset" | "upstream-timeout"> | undefined;

const noBytes = Buffer.alloc(0);

/**
 * The response to an upgrade that failed or was declined, on a socket that node:http has released. node's
 * ServerResponse frames and checks it; what its server would do (`drain`, timeouts, closing) is done here. The
 * connection closes after it.
 */
class UpgradeResponse {
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
    // Input is discarded, but must be read to notice that the client closes.
    client.resume();
  }

  /** Sends a local reply; returns its status. */
  reply(reply: LocalReply): number {
    const local = this.#exchange.localResponse(reply, this.#request.headers.accept);
    // RFC 9110 §7.8: `Upgrade`, which a 426 has, needs a connection option.
    const connection = local.status === 426 ? "close, upgrade" : "close";
    sendLocalResponse(this.#request, this.#response, local, connection);
    return local.status;
  }

  /**
   * Streams the upstream's response to the client. False, with nothing written, if node rejects its head. `ended` is
   * called once. With an error the connection was reset, so the client cannot take the response for complete.
   */
  relay(upstream: IncomingMessage, idleMs: number, ended: (error: RelayEnd) => void): boolean {
    const response = this.#response;
    const status = upstream.statusCode ?? 0;
    const mayTrail = upstream.headers["transfer-encoding"] === "chunked" && !isBodiless(status, "GET");
    const trailers = mayTrail ? "trailers may follow" : "no trailers";
    const headers = responseHeaders(this.#exchange, status, upstream.rawHeaders, trailers);
    headers.push("Connection", "close");
    try {
      response.writeHead(status, reasonPhrase(status, upstream.statusMessage), headers);
    } catch {
      // node keeps the rejected status text, and would reject the local reply as well.
      response.statusMessage = "";
      return false;
    }
    // node sends the head only with the body, which may be late or never arrive. Not flushHeaders: it encodes the head
    // as UTF-8, but the fields are Latin-1 and must be forwarded unchanged.
    response.write(noBytes);
    let isOpen = true;
    const end = (error: RelayEnd) => {
      if (!isOpen) return;
      isOpen = false;
      if (error !== undefined) {
        upstream.destroy();
        this.#client.destroy();
      }
      ended(error);
    };
    upstream.on("data", (chunk: Buffer) => this.#send(upstream, chunk));
    upstream.on("error", () => end("upstream-reset"));
    // Before node's listener, which takes a reset for the end of a body without a length.
    upstream.socket.prependListener("error", () => end("upstream-reset"));
    upstream.on("end", () => {
      const trailers = responseTrailers(upstream.rawTrailers);
      if (trailers.length > 0) response.addTrailers(trailers);
      response.end();
    });
    // The client's connection is idle if either side is. With pending writes it is the client's fault.
    this.#client.setTimeout(idleMs, () => end(this.#client.writableNeedDrain ? "client-closed" : "upstream-timeout"));
    // As in node:http, a client that ends its half has left.
    this.#client.on("end", () => end("client-closed")).on("close", () => end("client-closed"));
    response.on("finish", () => end(undefined));
    return true;
  }

  #send(upstream: IncomingMessage, chunk: Buffer): void {
    this.#exchange.bytesSent += chunk.length;
    if (this.#response.write(chunk)) return;
    upstream.pause();
    this.#client.once("drain", () => upstream.resume());
  }
}
