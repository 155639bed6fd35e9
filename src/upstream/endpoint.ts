import { hashText } from "../decide/hash.ts";
import { type Condition, EndpointHealth } from "./endpoint-health.ts";
import { defaultReuse, type EndpointAddress, type OutlierSpec, type ReuseSpec } from "./service-spec.ts";
import { SingleUse } from "./single-use.ts";

/** Higher than any measured latency. */
const unknownLatencyMs = 1e9;

/**
 * One address that serves a version. It lives as long as any snapshot names it, so that a reload keeps its health and
 * its requests in flight. Lanes pool connections per endpoint.
 */
export class Endpoint {
  readonly service: string;
  readonly version: string;
  readonly address: EndpointAddress;
  /** For rendezvous hashing. Derived from the address alone, so that replicas agree and a restart changes nothing. */
  readonly seed: number;
  readonly latency = new PeakEwma();
  /** Requests sent and not finished. */
  inFlight = 0;
  /** The limit on requests in flight, and thus on connections in use; set when a configuration becomes active. */
  maxInFlight = Number.POSITIVE_INFINITY;
  /** How its connections are reused; set when a configuration becomes active. */
  reuse: ReuseSpec = defaultReuse;
  readonly singleUse = new SingleUse();
  /** True once no snapshot names it; requests that started before may still use it. */
  retired = false;
  readonly health: EndpointHealth;
  readonly #unsolicited: UnsolicitedListener;

  /**
   * `changed` is called on each change of its health, `unsolicited` for each response that no request asked for.
   */
  constructor(
    service: string,
    version: string,
    address: EndpointAddress,
    changed: (endpoint: Endpoint, condition: Condition) => void = () => {},
    unsolicited: UnsolicitedListener = () => {},
  ) {
    this.#unsolicited = unsolicited;
    this.service = service;
    this.version = version;
    this.address = address;
    this.seed = hashText(`endpoint\0${address.origin}`, 0).h1;
    this.health = new EndpointHealth((condition) => changed(this, condition));
  }

  /** One of its connections, to be reused, has sent bytes that no request asked for. */
  sentUnsolicited(nowMs: number): void {
    this.#unsolicited(this, this.singleUse.unsolicited(nowMs) ? "reuse ends" : "no reuse");
  }

  /** Its name in logs and metrics; unique within its version. */
  get origin(): string {
    return this.address.origin;
  }

  /** False while it gets no requests except occasional trials. */
  get up(): boolean {
    return this.health.up;
  }

  /** Whether a request may be sent here now. */
  available(nowMs: number): boolean {
    return this.health.available(nowMs) && this.inFlight < this.maxInFlight;
  }

  /**
   * The load that a further request would meet: the requests in flight plus itself, times the recent latency. An
   * endpoint that has never responded gets one request, and no second until it has responded.
   */
  loadAt(nowMs: number): number {
    const latencyMs = this.latency.valueAt(nowMs);
    if (latencyMs === 0) return this.inFlight === 0 ? 0 : unknownLatencyMs + this.inFlight;
    return latencyMs * (this.inFlight + 1);
  }
}

/** `reuse ends`: from now on its connections carry one request each. */
export type UnsolicitedListener = (endpoint: Endpoint, effect: "reuse ends" | "no reuse") => void;

/** Time constant of the decay: after this time an observation's weight is 37 %. */
const decayMs = 10_000;

/** The latency assumed after the first failure, and the maximum after many. */
const minFailureMs = 10;
const maxFailureMs = 30_000;

/**
 * The latency for load balancing: an exponentially weighted moving average over time, not over requests, that jumps to
 * any higher value at once (Finagle's `p2cPeakEwma`,
 * https://twitter.github.io/finagle/guide/Clients.html#power-of-two-choices-p2c-least-loaded, also in linkerd2-proxy).
 * It decays without requests, so that an endpoint that was slow is tried again.
 */
class PeakEwma {
  #valueMs = 0;
  #atMs = 0;

  observe(latencyMs: number, nowMs: number): void {
    const decay = this.#decayAt(nowMs);
    this.#valueMs = Math.max(latencyMs, this.#valueMs * decay + latencyMs * (1 - decay));
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** The request was abandoned after `waitedMs`: its latency would have been at least that. */
  gaveUp(waitedMs: number, nowMs: number): void {
    this.#rise(waitedMs, nowMs);
  }

  /**
   * Doubles the value: an endpoint that resets every connection at once would otherwise seem idle and fast, and attract
   * all requests.
   */
  failed(nowMs: number): void {
    this.#rise(Math.min(Math.max(2 * this.valueAt(nowMs), minFailureMs), maxFailureMs), nowMs);
  }

  #rise(latencyMs: number, nowMs: number): void {
    this.#valueMs = Math.max(latencyMs, this.valueAt(nowMs));
    this.#atMs = Math.max(this.#atMs, nowMs);
  }

  /** 0 if nothing was observed. */
  valueAt(nowMs: number): number {
    return this.#valueMs === 0 ? 0 : this.#valueMs * this.#decayAt(nowMs);
  }

  /** A clock that was set back does not decay the value. */
  #decayAt(nowMs: number): number {
    return nowMs <= this.#atMs ? 1 : Math.exp((this.#atMs - nowMs) / decayMs);
  }
}

/** The current endpoints of one version. Two reads during a request may return different lists; each is frozen. */
export interface EndpointSet {
  readonly current: readonly Endpoint[];
}

/** Whether a response with this status counts as a failure of the endpoint. */
export function isBadStatus(status: number, { failures }: OutlierSpec): boolean {
  return failures === "5xx" ? status >= 500 : status >= 502 && status <= 504;
}

/**
 * Records a failed request, and ejects the endpoint if it has failed too many in a row. Only a share of the version's
 * endpoints may be ejected at a time, but always one if another version can serve in its place.
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
  const maxEjected = Math.max(Math.floor(endpoints.length * spec.maxEjectedShare), replaceable ? 1 : 0);
  if (others < maxEjected) endpoint.health.eject(nowMs, spec, why);
}
