import { Endpoint } from "./endpoint.ts";

/**
 * Endpoints by (service, version, origin), shared by successive snapshots: what a reload leaves unchanged keeps its
 * state and its connections, what it removes is retired once, for the lanes to drain.
 */
export class EndpointRegistry {
  readonly #retired: (endpoint: Endpoint) => void;
  #current = new Map<string, Endpoint>();

  constructor(retired: (endpoint: Endpoint) => void) {
    this.#retired = retired;
  }

  /** Starts the next generation. Nothing changes until its `commit`; a generation left uncommitted leaves no trace. */
  next(): EndpointGeneration {
    const previous = this.#current;
    const kept = new Map<string, Endpoint>();
    return {
      endpoint(service, version, origin) {
        const key = `${service} ${version} ${origin}`;
        const known = kept.get(key) ?? previous.get(key) ?? new Endpoint(service, version, origin);
        kept.set(key, known);
        return known;
      },
      commit: () => {
        this.#current = kept;
        for (const [key, endpoint] of previous) {
          if (kept.has(key)) continue;
          endpoint.retired = true;
          this.#retired(endpoint);
        }
      },
    };
  }

  all(): Iterable<Endpoint> {
    return this.#current.values();
  }
}

export interface EndpointGeneration {
  endpoint(service: string, version: string, origin: string): Endpoint;
  commit(): void;
}
