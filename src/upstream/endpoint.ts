import type { EndpointAddress } from "./endpoint-address.ts";

/** First pause after a refused connection, doubled by each further refusal up to the longest. */
const shortestPauseMs = 1_000;
const longestPauseMs = 30_000;

/**
 * One address that serves a version. It lives as long as any snapshot names it, so a reload neither forgets what is in
 * flight nor that the endpoint is down. Lanes keep their connections by it.
 */
export class Endpoint {
  readonly service: string;
  readonly version: string;
  readonly address: EndpointAddress;
  /** Requests sent and not yet ended; what balancing compares. */
  inFlight = 0;
  /** True once no snapshot names it; a request that began before may still come to it. */
  retired = false;
  #refusals = 0;
  #pausedUntilMs = 0;

  constructor(service: string, version: string, address: EndpointAddress) {
    this.service = service;
    this.version = version;
    this.address = address;
  }

  /** What logs, metrics and people call it; one of a kind within its version. */
  get origin(): string {
    return this.address.origin;
  }

  /** False from a refused connection until it is answered again. */
  get up(): boolean {
    return this.#refusals === 0;
  }

  /** Whether a request should be tried here: it is up, or its pause is over and this request may find out. */
  available(nowMs: number): boolean {
    return this.#refusals === 0 || nowMs >= this.#pausedUntilMs;
  }

  /** No connection could be made. Pauses the endpoint; the pause doubles while it stays refused. */
  refused(nowMs: number): void {
    const pauseMs = Math.min(shortestPauseMs * 2 ** this.#refusals, longestPauseMs);
    // Many requests in flight learn of one outage together; only the first of them lengthens the pause.
    if (nowMs < this.#pausedUntilMs) return;
    this.#refusals++;
    this.#pausedUntilMs = nowMs + pauseMs;
  }

  /** It answered, whatever the status: the connection works. */
  reached(): void {
    this.#refusals = 0;
    this.#pausedUntilMs = 0;
  }
}
