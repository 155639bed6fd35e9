import { type EndpointResolver, unresolved } from "./dns-resolver.ts";
import { Endpoint, type EndpointSet, type UnsolicitedListener } from "./endpoint.ts";
import type { Condition } from "./endpoint-health.ts";
import {
  type DnsQuestion,
  type DnsSpec,
  defaultReuse,
  type EndpointAddress,
  type EndpointSpec,
  type ReuseSpec,
  recordAddress,
} from "./service-spec.ts";

/** Notified when snapshots or DNS add and remove endpoints. */
export interface EndpointEvents {
  added(endpoint: Endpoint): void;
  /** It gets no new requests; those in flight may finish. */
  retired(endpoint: Endpoint): void;
  /** Its health has changed. */
  changed(endpoint: Endpoint, condition: Condition): void;
  /** It has sent a response that no request asked for. */
  unsolicited(...args: Parameters<UnsolicitedListener>): void;
}

/** For use without side effects, such as explanations. */
export const noopEndpointEvents: EndpointEvents = Object.freeze({
  added: () => {},
  retired: () => {},
  changed: () => {},
  unsolicited: () => {},
});

/**
 * Endpoints by (service, version, address), shared by successive snapshots. Endpoints that a reload or DNS change keeps
 * retain their state and connections; removed ones are retired once, for the lanes to drain.
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
   * Starts the next generation. Nothing changes until its `commit`, and its sets are empty until then. A generation
   * that is never committed has no effect.
   */
  next(dns: DnsSpec): EndpointGeneration {
    const sets: LiveSet[] = [];
    return {
      set(service, version, specs, maxConnections = Number.POSITIVE_INFINITY, reuse = defaultReuse) {
        const set = new LiveSet(service, version, specs, maxConnections, reuse);
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
    return new Endpoint(
      service,
      version,
      address,
      (endpoint, condition) => this.#events.changed(endpoint, condition),
      (endpoint, effect) => this.#events.unsolicited(endpoint, effect),
    );
  }

  /** Fills the sets with the current addresses of their specs. */
  #renew(): void {
    const before = this.#endpoints;
    const kept = new Map<string, Endpoint>();
    for (const set of this.#sets) {
      set.fill(this.#names, (address) => {
        const key = keyOf(set, address);
        const endpoint = kept.get(key) ?? before.get(key) ?? this.#create(set, address);
        endpoint.maxInFlight = set.maxConnections;
        endpoint.reuse = set.reuse;
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
  set(
    service: string,
    version: string,
    specs: readonly EndpointSpec[],
    maxConnections?: number,
    reuse?: ReuseSpec,
  ): EndpointSet;
  commit(): void;
}

class LiveSet implements EndpointSet {
  readonly service: string;
  readonly version: string;
  readonly maxConnections: number;
  readonly reuse: ReuseSpec;
  readonly #specs: readonly EndpointSpec[];
  current: readonly Endpoint[] = Object.freeze([]);

  constructor(
    service: string,
    version: string,
    specs: readonly EndpointSpec[],
    maxConnections: number,
    reuse: ReuseSpec,
  ) {
    this.service = service;
    this.version = version;
    this.maxConnections = maxConnections;
    this.reuse = reuse;
    this.#specs = specs;
  }

  get questions(): readonly DnsQuestion[] {
    return this.#specs.flatMap((spec) => (spec.kind === "dns" ? [spec.question] : []));
  }

  /** Contains each address once, even if two names resolve to it. */
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

/** Includes the host: for another name the same address must present another certificate, on separate connections. */
const keyOf = ({ service, version }: LiveSet, { origin, host }: EndpointAddress): string =>
  `${service} ${version} ${origin} ${host}`;
