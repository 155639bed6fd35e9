import { isDeepStrictEqual } from "node:util";
import type { RandomFraction, Timers } from "./clock.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Probe, type ProbeResult, whyOf } from "./probes.ts";
import type { HealthSpec } from "./service-spec.ts";

/** What all checks share. */
export interface CheckParts {
  readonly timers: Timers;
  readonly probe: Probe;
  readonly randomFraction: RandomFraction;
}

/**
 * Active health checks of all endpoints whose services configure them. Checks continue across reloads that do not
 * change their settings, and end when the endpoint is retired.
 */
export class HealthChecks {
  readonly #parts: CheckParts;
  readonly #loops = new Map<Endpoint, CheckLoop | undefined>();
  /** By the service's name. */
  #specs: ReadonlyMap<string, HealthSpec> = new Map();

  constructor(parts: CheckParts) {
    this.#parts = parts;
  }

  added(endpoint: Endpoint): void {
    this.#loops.set(endpoint, this.#start(endpoint));
  }

  retired(endpoint: Endpoint): void {
    this.#loops.get(endpoint)?.stop();
    this.#loops.delete(endpoint);
  }

  /** Applies the health settings of a new snapshot. */
  configure(services: readonly { readonly name: string; readonly health: HealthSpec | undefined }[]): void {
    this.#specs = new Map(services.flatMap(({ name, health }) => (health === undefined ? [] : [[name, health]])));
    for (const [endpoint, loop] of this.#loops) {
      const spec = this.#specs.get(endpoint.service);
      if (isDeepStrictEqual(loop?.spec, spec)) continue;
      loop?.stop();
      // With changed settings the old result stays until the new checks have one.
      if (spec === undefined) endpoint.health.unchecked(this.#parts.timers.nowMs());
      this.#loops.set(endpoint, this.#start(endpoint));
    }
  }

  stop(): void {
    for (const loop of this.#loops.values()) loop?.stop();
    this.#loops.clear();
  }

  #start(endpoint: Endpoint): CheckLoop | undefined {
    const spec = this.#specs.get(endpoint.service);
    return spec && new CheckLoop(endpoint, spec, this.#parts);
  }
}

/** The first check runs within this time, or within the interval if that is shorter. */
const firstWithinMs = 500;

/**
 * Checks one endpoint periodically, one check at a time: if a check takes longer than the interval, the next one waits.
 * Intervals have 10 % jitter, so that many endpoints and proxies do not check at the same time.
 */
export class CheckLoop {
  readonly spec: HealthSpec;
  readonly #endpoint: Endpoint;
  readonly #parts: CheckParts;
  #cancelTimer: () => void;
  /** Aborts the running check. */
  #abort: (() => void) | undefined;
  #stopped = false;

  constructor(endpoint: Endpoint, spec: HealthSpec, parts: CheckParts) {
    this.#endpoint = endpoint;
    this.spec = spec;
    this.#parts = parts;
    const firstMs = parts.randomFraction() * Math.min(firstWithinMs, spec.intervalMs);
    this.#cancelTimer = parts.timers.schedule(firstMs, this.#run);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer();
    this.#abort?.();
  }

  readonly #run = (): void => {
    void this.#check();
  };

  async #check(): Promise<void> {
    const { timers, randomFraction } = this.#parts;
    const startedMs = timers.monotonicMs();
    const result = await this.#probe();
    if (this.#stopped) return;
    this.#endpoint.health.checked(timers.nowMs(), result, this.spec);
    const intervalMs = this.spec.intervalMs * (0.9 + 0.2 * randomFraction());
    this.#cancelTimer = timers.schedule(Math.max(1, startedMs + intervalMs - timers.monotonicMs()), this.#run);
  }

  async #probe(): Promise<ProbeResult> {
    const { timers, probe } = this.#parts;
    const controller = new AbortController();
    const { promise: timeout, resolve: expire } = Promise.withResolvers<ProbeResult>();
    this.#abort = () => {
      expire({ passed: false, why: "timeout" });
      controller.abort();
    };
    const cancelTimeout = timers.schedule(this.spec.timeoutMs, this.#abort);
    try {
      return await Promise.race([probe(this.#endpoint.address, this.spec, controller.signal), timeout]);
    } catch (error) {
      return { passed: false, why: whyOf(error) };
    } finally {
      cancelTimeout();
      this.#abort = undefined;
    }
  }
}
