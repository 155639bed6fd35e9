import { type EndpointResolver, unresolved } from "./dns-resolver.ts";
import { Endpoint, type EndpointSet } from "./endpoint.ts";
import type { Condition } from "./endpoint-health.ts";
import {
  type DnsQuestion,
  type DnsSpec,
  type EndpointAddress,
  type EndpointSpec,
  recordAddress,
} from "./service-spec.ts";

/** Hears of endpoints as snapshots and DNS bring and take them. */
export interface EndpointEvents {
  added(endpoint: Endpoint): void;
  /** Nothing that begins now comes to it any more; what is in flight may end. */
  retired(endpoint: Endpoint): void;
  /** Something else is believed of it than before. */
  changed(endpoint: Endpoint, condition: Condition): void;
}

/** For those who only ask what is configured. */
export const noopEndpointEvents: EndpointEvents = Object.freeze({
  added: () => {},
  retired: () => {},
  changed: () => {},
});

/**
 * Endpoints by (service, version, address), shared by successive snapshots: what a reload leaves unchanged keeps its state
 * and its connections, what it removes is retired once, for the lanes to drain. The same holds for what a name stands for.
 */
export class EndpointRegistry {
  readonly #events: EndpointEvents;
  readonly #names: EndpointResolver;
  #sets: readonly LiveSet[] = [];
  #endpoints: ReadonlyMap<string, Endpoint> = new Map();

  constructor(events: EndpointEvents, names: EndpointResolver = unresolved) {
    this.#events = events;
    this.#names = names;
  }

  /**
   * Starts the next generation. Nothing changes until its `commit`, and its sets are empty until then; a generation left
   * uncommitted leaves no trace.
   */
  next(dns: DnsSpec): EndpointGeneration {
    const sets: LiveSet[] = [];
    return {
      set(service, version, specs, maxConnections = Number.POSITIVE_INFINITY) {
        const set = new LiveSet(service, version, specs, maxConnections);
        sets.push(set);
        return set;
      },
      commit: () => {
        this.#sets = sets;
        const questions = sets.flatMap((set) => set.questions);
        this.#names.follow(questions, dns, () => this.#renew());
        this.#renew();
      },
    };
  }

  all(): Iterable<Endpoint> {
    return this.#endpoints.values();
  }

  #create({ service, version }: LiveSet, address: EndpointAddress): Endpoint {
    return new Endpoint(service, version, address, (endpoint, condition) => this.#events.changed(endpoint, condition));
  }

  /** Fills the sets from what their specs stand for now. */
  #renew(): void {
    const before = this.#endpoints;
    const kept = new Map<string, Endpoint>();
    for (const set of this.#sets) {
      set.fill(this.#names, (address) => {
        const key = keyOf(set, address);
        const endpoint = kept.get(key) ?? before.get(key) ?? this.#create(set, address);
        endpoint.maxInFlight = set.maxConnections;
        kept.set(key, endpoint);
        return endpoint;
      });
    }
    this.#endpoints = kept;
    for (const [key, endpoint] of kept) if (!before.has(key)) this.#events.added(endpoint);
    for (const [key, endpoint] of before) {
      if (kept.has(key)) continue;
      endpoint.retired = true;
      this.#events.retired(endpoint);
    }
  }
}

export interface EndpointGeneration {
  /**
   * The endpoints of a version, filled by `commit`. Called once a version. `maxConnections`: to each endpoint; default:
   * no limit.
   */
  set(service: string, version: string, specs: readonly EndpointSpec[], maxConnections?: number): EndpointSet;
  commit(): void;
}

class LiveSet implements EndpointSet {
  readonly service: string;
  readonly version: string;
  readonly maxConnections: number;
  readonly #specs: readonly EndpointSpec[];
  current: readonly Endpoint[] = Object.freeze([]);

  constructor(service: string, version: string, specs: readonly EndpointSpec[], maxConnections: number) {
    this.service = service;
    this.version = version;
    this.maxConnections = maxConnections;
    this.#specs = specs;
  }

  get questions(): readonly DnsQuestion[] {
    return this.#specs.flatMap((spec) => (spec.kind === "dns" ? [spec.question] : []));
  }

  /** Each address once, though two names may stand for it. */
  fill(names: EndpointResolver, endpointAt: (address: EndpointAddress) => Endpoint): void {
    const addresses = this.#specs.flatMap((spec) =>
      spec.kind === "address"
        ? [spec.address]
        : names.records(spec.question).map((record) => recordAddress(spec, record)),
    );
    const byOrigin = new Map<string, EndpointAddress>();
    for (const address of addresses) if (!byOrigin.has(address.origin)) byOrigin.set(address.origin, address);
    this.current = Object.freeze(Array.from(byOrigin.values(), endpointAt));
  }
}

/** With the host: an address that another name leads to must show another certificate, on connections of its own. */
const keyOf = ({ service, version }: LiveSet, { origin, host }: EndpointAddress): string =>
  `${service} ${version} ${origin} ${host}`;
