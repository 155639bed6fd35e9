import type { CompiledConfig } from "../config/compiled-config.ts";
import type { TrafficByRelease } from "../decide/release-traffic.ts";
import { noFetching, PublishedKeyRegistry } from "../identify/published-keys.ts";
import { type RolloutTaps, unwatchedTaps } from "../observe/rollout/rollout-taps.ts";
import type { StatsRegistry } from "../observe/stats-registry.ts";
import { noTimers } from "../upstream/clock.ts";
import type { EndpointRegistry } from "../upstream/endpoint-registry.ts";
import { ServiceRegistry } from "../upstream/service-registry.ts";
import { buildSnapshot } from "./build-snapshot.ts";
import { RateLimitRegistry } from "./rate-limit.ts";
import type { Snapshot } from "./snapshot.ts";
import type { TokenStores } from "./token-store.ts";

/**
 * Holds the snapshot that new requests use. A reload builds the next one aside and swaps one reference; requests in
 * flight keep theirs. A build that fails leaves the current snapshot, its stats and its endpoints unchanged.
 */
export class ActiveSnapshot {
  readonly #stats: StatsRegistry;
  readonly #endpoints: EndpointRegistry;
  readonly #keys: PublishedKeyRegistry;
  readonly #services: ServiceRegistry;
  readonly #limits: RateLimitRegistry;
  readonly #taps: RolloutTaps;
  #current: Snapshot;

  /**
   * The defaults of `keys`, `services`, `taps` and `stores` are for commands that serve no requests: they fetch, time,
   * report and ask nothing.
   */
  constructor(
    stats: StatsRegistry,
    endpoints: EndpointRegistry,
    config: CompiledConfig,
    hash: string,
    keys: PublishedKeyRegistry = new PublishedKeyRegistry(noFetching),
    services: ServiceRegistry = new ServiceRegistry(noTimers),
    taps: RolloutTaps = unwatchedTaps(),
    stores?: TokenStores,
  ) {
    this.#stats = stats;
    this.#endpoints = endpoints;
    this.#keys = keys;
    this.#services = services;
    this.#taps = taps;
    this.#limits = new RateLimitRegistry(stores);
    this.#current = this.prepare(config, hash)(noTraffic);
  }

  get current(): Snapshot {
    return this.#current;
  }

  /** Without rollouts. */
  replace(config: CompiledConfig, hash: string): Snapshot {
    return this.prepare(config, hash)(noTraffic);
  }

  /** Replaces what all releases do beside their configuration, from the next decision on. */
  direct(traffic: TrafficByRelease): void {
    directAll(this.#current, traffic);
  }

  /** `building` in one go. */
  prepare(config: CompiledConfig, hash: string): (traffic: TrafficByRelease) => Snapshot {
    const steps = this.#building(config, hash, undefined);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    return step.value;
  }

  /**
   * Builds the next snapshot without using it, in steps of less than a millisecond each, and keeps what has not changed of
   * the current one. The function returned makes it current, with this traffic; if that is never called, nothing changes.
   * Of several prepared snapshots, only the last may be made current.
   */
  building(config: CompiledConfig, hash: string): Generator<undefined, (traffic: TrafficByRelease) => Snapshot> {
    return this.#building(config, hash, this.#current);
  }

  *#building(
    config: CompiledConfig,
    hash: string,
    before: Snapshot | undefined,
  ): Generator<undefined, (traffic: TrafficByRelease) => Snapshot> {
    const stats = this.#stats.begin();
    const endpoints = this.#endpoints.next(config.dns);
    const keys = this.#keys.next();
    const services = this.#services.next();
    const limits = this.#limits.next();
    const parts = { stats, endpoints, keys, services, limits, taps: this.#taps };
    const snapshot = yield* buildSnapshot(config, hash, parts, before);
    return (traffic) => {
      directAll(snapshot, traffic);
      stats.commit();
      endpoints.commit();
      keys.commit();
      limits.commit();
      this.#current = snapshot;
      services.commit();
      return snapshot;
    };
  }
}

const noTraffic: TrafficByRelease = new Map();

function directAll({ releases }: Snapshot, traffic: TrafficByRelease): void {
  for (const [name, { policy }] of releases) policy.direct(traffic.get(name));
}
