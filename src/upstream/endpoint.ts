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
  /** `http://host:port` or `https://host:port`. */
  readonly origin: string;
  /** The origin's host, an IPv6 address without its brackets: whom a TLS certificate must name. */
  readonly hostname: string;
  readonly port: number;
  /** Requests sent and not yet ended; what balancing compares. */
  inFlight = 0;
  /** True once no snapshot names it; a request that began before may still come to it. */
  retired = false;
  #refusals = 0;
  #pausedUntilMs = 0;

  constructor(service: string, version: string, origin: string) {
    this.service = service;
    this.version = version;
    this.origin = origin;
    const { hostname, port, protocol } = new URL(origin);
    this.hostname = hostname.replace(/^\[|\]$/g, "");
    this.port = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
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
