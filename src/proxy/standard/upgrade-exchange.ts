import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { ErrorCode } from "../../errors.ts";
import type { Endpoint } from "../../upstream/endpoint.ts";
import type { Timeouts } from "../../upstream/service-spec.ts";
import type { Turn } from "../admission.ts";
import type { AttemptFailure, Attempts } from "../attempts.ts";
import type { Exchange } from "../exchange.ts";
import { removeFields } from "../header-fields.ts";
import { responseHeaders } from "../response-headers.ts";
import { attemptFields, upstreamHeaders, upstreamTarget } from "../upstream-head.ts";
import type { StandardHead } from "./head.ts";
import { UpgradeAnswer } from "./upgrade-answer.ts";
import { type HandshakeEvents, UpgradeHandshake } from "./upgrade-handshake.ts";
import { UpgradeStandIn } from "./upgrade-stand-in.ts";
import { UpgradeTunnel } from "./upgrade-tunnel.ts";

/** Octets kept of a client that speaks before it was answered; then it has to wait. */
const earlyBytesLimit = 64 * 1024;

const upgradeFields = ["Connection", "Upgrade", "Upgrade", "websocket"];

/**
 * Forwards one WebSocket upgrade, the last two stages of its chain: endpoints are tried until one answers; a 101 makes a
 * tunnel, any other answer is relayed, none becomes an error of ours. The exchange ends with the answer, or with the
 * tunnel. A client that closes even one half before it was answered has left: no WebSocket could come of it.
 */
export class UpgradeExchange implements HandshakeEvents, Turn {
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
  /** Only where the request is held on purpose. */
  #delayTimer: NodeJS.Timeout | undefined;

  /** `early`: what the client sent behind the head. */
  constructor(
    exchange: Exchange,
    { attempts, timeouts }: { readonly attempts: Attempts; readonly timeouts: Timeouts },
    head: StandardHead,
    request: IncomingMessage,
    client: Socket,
    early: Buffer,
  ) {
    this.#exchange = exchange;
    this.#attempts = attempts;
    this.#timeouts = timeouts;
    this.#request = request;
    this.#client = client;
    this.#headers = upstreamHeaders(exchange, head.rawHeaders, head.version);
    this.#early = early.length === 0 ? [] : [early];
    this.#standIn = new UpgradeStandIn(client, exchange);
  }

  start(): void {
    this.#client.on("data", this.#onEarly).on("end", this.#onGone).on("close", this.#onGone);
    const { delayMs } = this.#exchange;
    if (delayMs > 0) this.#delayTimer = setTimeout(() => this.onTurn(), delayMs);
    else this.onTurn();
  }

  onTurn(): void {
    this.#tryAt(this.#attempts.next(this));
  }

  #tryAt(endpoint: Endpoint | "waits" | undefined): void {
    if (endpoint === undefined) this.#refuse(this.#attempts.exhausted());
    else if (endpoint !== "waits") this.#try(endpoint);
  }

  #try(endpoint: Endpoint): void {
    this.#attempts.started(endpoint);
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
      // Nothing here should throw, but a tool that does must cost one request, not the process.
      this.#refuse("internal-error");
    }
  }

  switchedHeaders(upstream: readonly string[]): string[] {
    const headers = responseHeaders(this.#exchange, upstream, "no trailers");
    // RFC 9110 §8.6: not in a 1xx, where it would confuse whoever stands between the client and us.
    removeFields(headers, ["content-length"]);
    return [...headers, ...upgradeFields];
  }

  opened(upstream: Socket): void {
    this.#attempts.answered(101);
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
      this.#attempts.answered(statusCode);
      return;
    }
    response.destroy();
    this.#attempts.failed("upstream-malformed");
    this.#exchange.end(answer.refuse("upstream-malformed"), "upstream-malformed");
  }

  failed(failure: AttemptFailure, error?: Error): void {
    this.#attempts.failed(failure, error);
    // The handshake is a GET without a body (RFC 9110 §9.2.2).
    this.#tryAt(this.#attempts.again("at hand", this));
  }

  #refuse(code: ErrorCode): void {
    this.#unwatch();
    const status = new UpgradeAnswer(this.#exchange, this.#request, this.#client).refuse(
      code,
      this.#attempts.retryAfterSeconds,
    );
    this.#exchange.end(status, code);
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
    clearTimeout(this.#delayTimer);
    this.#unwatch();
    this.#handshake?.cancel();
    this.#client.destroy();
    this.#exchange.end(499, "client-closed");
  };
}
