import type { ActiveSnapshot } from "./proxy/active-snapshot.ts";
import type { EventClock } from "./proxy/event-clock.ts";
import type { Gateway } from "./proxy/gateway.ts";
import type { Snapshot } from "./proxy/snapshot.ts";
import { batchedRandom } from "./random-source.ts";
import { batchedUuids } from "./request-ids.ts";

/** What of a gateway is not the same for all. */
export type GatewayParts = Pick<
  Gateway,
  "observer" | "load" | "mirrors" | "spans" | "streamed" | "handedOver" | "defect"
> & {
  readonly active: ActiveSnapshot;
  readonly clock: EventClock;
};

/**
 * The gateway of one data plane. A class, since V8 keeps an object literal that has getters as a hash table, and a request
 * asks its gateway a dozen things.
 */
export class PlaneGateway implements Gateway {
  draining = false;
  readonly observer: Gateway["observer"];
  readonly load: Gateway["load"];
  readonly mirrors: Gateway["mirrors"];
  readonly spans: Gateway["spans"];
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly randomFraction = Math.random;
  readonly randomUnit = batchedRandom();
  readonly newRequestId = batchedUuids();
  readonly streamed: Gateway["streamed"];
  readonly handedOver: Gateway["handedOver"];
  readonly defect: Gateway["defect"];
  readonly #active: ActiveSnapshot;

  constructor(parts: GatewayParts) {
    this.#active = parts.active;
    this.nowMs = parts.clock.nowMs;
    this.monotonicMs = parts.clock.monotonicMs;
    this.observer = parts.observer;
    this.load = parts.load;
    this.mirrors = parts.mirrors;
    this.spans = parts.spans;
    this.streamed = parts.streamed;
    this.handedOver = parts.handedOver;
    this.defect = parts.defect;
  }

  get snapshot(): Snapshot {
    return this.#active.current;
  }
}
