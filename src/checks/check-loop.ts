import type { RandomFraction } from "../upstream/balancer.ts";
import type { Clock } from "../upstream/clock.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { HealthSpec } from "../upstream/service-spec.ts";
import { type Probe, type ProbeResult, whyOf } from "./probe.ts";

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
