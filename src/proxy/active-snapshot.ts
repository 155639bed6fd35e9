import type { CompiledConfig } from "../config/compiled-config.ts";
import { noFetching, PublishedKeyRegistry } from "../identify/published-keys.ts";
import type { StatsRegistry } from "../observe/stats-registry.ts";
import { noTimers } from "../upstream/clock.ts";
import type { EndpointRegistry } from "../upstream/endpoint-registry.ts";
import { ServiceRegistry } from "../upstream/service-registry.ts";
import { buildSnapshot } from "./build-snapshot.ts";
import { RateLimitRegistry } from "./rate-limit.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * The snapshot for requests that begin now. A new one is built aside and takes its place as one reference; requests
 * under way keep theirs. What fails to build leaves the old one, its stats and its endpoints untouched.
 */
export class ActiveSnapshot {
  readonly #stats: StatsRegistry;
  readonly #endpoints: EndpointRegistry;
  readonly #keys: PublishedKeyRegistry;
  readonly #services: ServiceRegistry;
  readonly #limits = new RateLimitRegistry();
  #current: Snapshot;

  /** Without `keys`, none that are published anywhere are known; `services` is for those who serve requests. */
  constructor(
    stats: StatsRegistry,
    endpoints: EndpointRegistry,
    config: CompiledConfig,
    hash: string,
    keys: PublishedKeyRegistry = new PublishedKeyRegistry(noFetching),
    services: ServiceRegistry = new ServiceRegistry(noTimers),
  ) {
    this.#stats = stats;
    this.#endpoints = endpoints;
    this.#keys = keys;
    this.#services = services;
    this.#current = this.prepare(config, hash)();
  }

  get current(): Snapshot {
    return this.#current;
  }

  replace(config: CompiledConfig, hash: string): Snapshot {
    return this.prepare(config, hash)();
  }

  /**
   * Builds the next snapshot aside. It takes its place when the function returned is called; never called, it leaves no
   * trace. Of several that were prepared only the last may be.
   */
  prepare(config: CompiledConfig, hash: string): () => Snapshot {
    const stats = this.#stats.begin();
    const endpoints = this.#endpoints.next(config.dns);
    const keys = this.#keys.next();
    const services = this.#services.next();
    const limits = this.#limits.next();
    const snapshot = buildSnapshot(config, hash, { stats, endpoints, keys, services, limits });
    return () => {
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
