import { hashText } from "../decide/hash.ts";
import { type Condition, EndpointHealth } from "./endpoint-health.ts";
import type { EndpointAddress, OutlierSpec } from "./service-spec.ts";

/** More than any endpoint that is known takes. */
const unknownLatencyMs = 1e9;

/**
 * One address that serves a version. It lives as long as any snapshot names it, so a reload neither forgets what is in
 * flight nor that the endpoint is down. Lanes keep their connections by it.
 */
export class Endpoint {
  readonly service: string;
  readonly version: string;
  readonly address: EndpointAddress;
  /** Of its scores in rendezvous hashing. By its address alone, so that replicas agree and a restart changes nothing. */
  readonly seed: number;
  readonly latency = new PeakEwma();
  /** Requests sent and not yet ended; what balancing compares. */
  inFlight = 0;
  /** The limit on requests in flight, and thus on connections in use; set when a configuration becomes active. */
  maxInFlight = Number.POSITIVE_INFINITY;
  /** True once no snapshot names it; a request that began before may still come to it. */
  retired = false;
  readonly health: EndpointHealth;

  /** `changed` hears of each change in what is believed of it. */
  constructor(
    service: string,
    version: string,
    address: EndpointAddress,
    changed: (endpoint: Endpoint, condition: Condition) => void = () => {},
  ) {
    this.service = service;
    this.version = version;
    this.address = address;
    this.seed = hashText(`endpoint\0${address.origin}`, 0).h1;
    this.health = new EndpointHealth((condition) => changed(this, condition));
  }

  /** What logs, metrics and people call it; one of a kind within its version. */
  get origin(): string {
    return this.address.origin;
  }

  /** False while it gets no requests, save for one now and then that finds out whether it is well again. */
  get up(): boolean {
    return this.health.up;
  }

  /** Whether a request should be tried here now. */
  available(nowMs: number): boolean {
    return this.health.available(nowMs) && this.inFlight < this.maxInFlight;
  }

  /**
   * How much a further request would have to wait behind, for comparing: what is in flight, and itself, at the latency
   * that was seen of late. An endpoint that never answered yet is worth a try, but not a second one until it has.
   */
  loadAt(nowMs: number): number {
    const latencyMs = this.latency.valueAt(nowMs);
    if (latencyMs === 0) return this.inFlight === 0 ? 0 : unknownLatencyMs + this.inFlight;
    return latencyMs * (this.inFlight + 1);
  }
}

/** How long what was seen goes on to count: after this time to 37 %. */
const decayMs = 10_000;

/** What a failure of an endpoint of which nothing else is known counts as, and the worst that failures add up to. */
const minFailureMs = 10;
const maxFailureMs = 30_000;

/**
 * What an endpoint's answers take, as load balancing wants to know it: a peak at once, better news by and by, and nothing
 * lasts. An exponentially weighted moving average over time, not over requests, that jumps up to any higher value (Finagle's
 * `p2cPeakEwma`, https://twitter.github.io/finagle/guide/Clients.html#power-of-two-choices-p2c-least-loaded; linkerd2-proxy
 * took it over). It fades while nobody asks, so that an endpoint which was slow is tried again.
 */
class PeakEwma {
  #valueMs = 0;
  #atMs = 0;

  observe(latencyMs: number, nowMs: number): void {
    const faded = this.#fadedBy(nowMs);
    this.#valueMs = Math.max(latencyMs, this.#valueMs * faded + latencyMs * (1 - faded));
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** Nobody waited longer: the answer would have taken at least so long. */
  gaveUp(waitedMs: number, nowMs: number): void {
    this.#rise(waitedMs, nowMs);
  }

  /**
   * An endpoint that breaks every connection at once answers nobody and is idle: it would seem to be the best of all. Each
   * failure doubles what is expected of it.
   */
  failed(nowMs: number): void {
    this.#rise(Math.min(Math.max(2 * this.valueAt(nowMs), minFailureMs), maxFailureMs), nowMs);
  }

  #rise(latencyMs: number, nowMs: number): void {
    this.#valueMs = Math.max(latencyMs, this.valueAt(nowMs));
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** 0 where nothing is known. */
  valueAt(nowMs: number): number {
    return this.#valueMs === 0 ? 0 : this.#valueMs * this.#fadedBy(nowMs);
  }

  /** A clock that was set back counts as one that stood still. */
  #fadedBy(nowMs: number): number {
    return nowMs <= this.#atMs ? 1 : Math.exp((this.#atMs - nowMs) / decayMs);
  }
}

/** The endpoints of one version as they are now. A request that reads them twice may see two lists; each is frozen. */
export interface EndpointSet {
  readonly current: readonly Endpoint[];
}

/** Whether an answer with this status counts against the endpoint that gave it. */
export function isBadStatus(status: number, { failures }: OutlierSpec): boolean {
  return failures === "5xx" ? status >= 500 : status >= 502 && status <= 504;
}

/**
 * Notes that an endpoint failed a request, and ejects it where that was one too many. Of the version's endpoints only a
 * share may be out at a time; but where another version can serve in its place, one always may.
 */
export function recordFailure(
  endpoint: Endpoint,
  version: { readonly endpoints: readonly Endpoint[]; readonly replaceable: boolean },
  spec: OutlierSpec,
  nowMs: number,
  why: string,
): void {
  if (!endpoint.health.failed(nowMs, spec)) return;
  const { endpoints, replaceable } = version;
  const others = endpoints.filter(({ health }) => health.isEjected && health !== endpoint.health).length;
  const most = Math.max(Math.floor(endpoints.length * spec.maxEjectedShare), replaceable ? 1 : 0);
  if (others < most) endpoint.health.eject(nowMs, spec, why);
}
