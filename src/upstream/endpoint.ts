import type { EndpointAddress } from "./endpoint-address.ts";
import { type Condition, EndpointHealth } from "./endpoint-health.ts";

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
    return this.health.available(nowMs);
  }
}
