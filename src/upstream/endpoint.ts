import { hashText } from "../decide/hash.ts";
import type { EndpointAddress } from "./endpoint-address.ts";
import { type Condition, EndpointHealth } from "./endpoint-health.ts";
import { PeakEwma } from "./peak-ewma.ts";

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
  /** As many as may be in flight, and thus connections in use; set by whoever sends requests here. */
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
