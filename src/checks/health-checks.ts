import { isDeepStrictEqual } from "node:util";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { HealthSpec } from "../upstream/service-spec.ts";
import { CheckLoop, type CheckParts } from "./check-loop.ts";

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
