import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ErrorCode } from "../../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Gateway } from "../gateway.ts";
import { errorOf } from "../own-answer.ts";
import type { StandardHead } from "./head.ts";
import { headRefusal } from "./head-limits.ts";
import { UpgradeAnswer } from "./upgrade-answer.ts";
import { UpgradeExchange } from "./upgrade-exchange.ts";

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
  return !isAnswerDue(socket);
}

/**
 * Endpoints that are spoken to by HTTP/2 would take a handshake of HTTP/1.1 for garbage: asking would only put the blame
 * on them, and a client could get all of them ejected.
 */
function unspoken({ route }: Exchange): ErrorCode | undefined {
  return route?.service?.protocol === "http2" ? "no-websocket" : undefined;
}

/** node:http's own note on the socket: the response that is being written. It has no public name. */
function isAnswerDue(socket: Socket & { _httpMessage?: unknown }): boolean {
  return socket._httpMessage !== undefined && socket._httpMessage !== null;
}

/** The WebSocket upgrades of one listener, under way or open. */
export class Upgrades {
  readonly #gateway: Gateway;
  readonly #clients = new Set<Duplex>();
  #ending = false;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
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
      new UpgradeExchange(exchange, { attempts, timeouts }, head, request, client, early).start();
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
    const refused = headRefusal(head, this.#gateway.snapshot.config.limits);
    return refused ?? (this.#ending ? "overloaded" : undefined);
  }
}
