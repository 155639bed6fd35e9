import { isDeepStrictEqual } from "node:util";
import type { Clock, RandomFraction } from "./clock.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Probe, type ProbeResult, whyOf } from "./probes.ts";
import type { HealthSpec } from "./service-spec.ts";

/**
 * The checks of all endpoints whose services want them. An endpoint's checks go on over reloads that leave its settings as
 * they were, and end when nothing names it any more.
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

  /** What holds from now on, by the service's name. */
  configure(services: readonly { readonly name: string; readonly health: HealthSpec | undefined }[]): void {
    this.#specs = new Map(services.flatMap(({ name, health }) => (health === undefined ? [] : [[name, health]])));
    for (const [endpoint, loop] of this.#loops) {
      const spec = this.#specs.get(endpoint.service);
      if (isDeepStrictEqual(loop?.spec, spec)) continue;
      loop?.stop();
      // What other checks found may not be what these find, but it is all that is known until they do.
      if (spec === undefined) endpoint.health.unchecked(this.#parts.clock.nowMs());
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

/** The first check comes within this time, or within the interval. */
const firstWithinMs = 500;

/** What all checks share. */
export interface CheckParts {
  readonly clock: Clock;
  readonly probe: Probe;
  readonly randomFraction: RandomFraction;
}

/**
 * Checks one endpoint again and again, one check at a time: where one takes longer than the interval, the next one waits.
 * Each wait is a tenth longer or shorter, so that many endpoints, and many proxies, do not ask at once.
 */
export class CheckLoop {
  readonly spec: HealthSpec;
  readonly #endpoint: Endpoint;
  readonly #parts: CheckParts;
  #takeBack: () => void;
  /** Ends the check that is under way. */
  #giveUp: (() => void) | undefined;
  #stopped = false;

  constructor(endpoint: Endpoint, spec: HealthSpec, parts: CheckParts) {
    this.#endpoint = endpoint;
    this.spec = spec;
    this.#parts = parts;
    const firstMs = parts.randomFraction() * Math.min(firstWithinMs, spec.intervalMs);
    this.#takeBack = parts.clock.wake(this.#run, firstMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#takeBack();
    this.#giveUp?.();
  }

  readonly #run = (): void => {
    void this.#check();
  };

  async #check(): Promise<void> {
    const { clock, randomFraction } = this.#parts;
    const startedMs = clock.monotonicMs();
    const result = await this.#ask();
    if (this.#stopped) return;
    this.#endpoint.health.checked(clock.nowMs(), result, this.spec);
    const intervalMs = this.spec.intervalMs * (0.9 + 0.2 * randomFraction());
    this.#takeBack = clock.wake(this.#run, Math.max(1, startedMs + intervalMs - clock.monotonicMs()));
  }

  async #ask(): Promise<ProbeResult> {
    const { clock, probe } = this.#parts;
    const underWay = new AbortController();
    const { promise: timeout, resolve: expire } = Promise.withResolvers<ProbeResult>();
    this.#giveUp = () => {
      expire({ passed: false, why: "timeout" });
      underWay.abort();
    };
    const takeBack = clock.wake(this.#giveUp, this.spec.timeoutMs);
    try {
      return await Promise.race([probe(this.#endpoint.address, this.spec, underWay.signal), timeout]);
    } catch (error) {
      return { passed: false, why: whyOf(error) };
    } finally {
      takeBack();
      this.#giveUp = undefined;
    }
  }
}
