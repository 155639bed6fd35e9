import { Endpoint, type EndpointSet, type UnsolicitedListener } from "./endpoint.ts";
import type { Condition } from "./endpoint-health.ts";
import { type EndpointResolver, unresolved } from "./endpoint-resolver.ts";
import {
  type DnsSpec,
  defaultReuse,
  type EndpointAddress,
  type EndpointQuestion,
  type EndpointSpec,
  type ReuseSpec,
  recordAddress,
} from "./service-spec.ts";

/** Notified when snapshots, DNS or Kubernetes add and remove endpoints. */
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
 * Endpoints by (service, version, address), shared by successive snapshots. Endpoints that a reload or a change of their
 * records keeps retain their state and connections; removed ones are retired once, for the lanes to drain.
 */
export class EndpointRegistry {
  readonly #events: EndpointEvents;
  readonly #names: EndpointResolver;
  #sets: readonly LiveSet[] = [];
  #endpoints: ReadonlyMap<string, Endpoint> = new Map();
  /** How often the endpoints have changed. */
  #changes = 0;

  constructor(events: EndpointEvents, names: EndpointResolver = unresolved) {
    this.#events = events;
    this.#names = names;
  }

  /**
   * Starts the next generation. Nothing changes until its `commit`, and its sets are empty until then. A generation
   * that is never committed has no effect.
   */
  next(dns: DnsSpec): EndpointGeneration {
    const aside = new NextEndpoints(this.#endpoints, this.#names, (set, address) => this.#create(set, address));
    const changes = this.#changes;
    return {
      set(service, version, specs, maxConnections = Number.POSITIVE_INFINITY, reuse = defaultReuse) {
        const set = new LiveSet(service, version, specs, maxConnections, reuse);
        aside.add(set);
        return set;
      },
      keep: (set) => {
        if (set instanceof LiveSet) aside.add(set);
      },
      commit: () => {
        const { sets, questions } = aside;
        this.#sets = sets;
        this.#names.follow(questions, dns, () => this.#renew());
        if (changes === this.#changes || aside.fits(this.#endpoints)) this.#take(aside.complete());
        else this.#renew();
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
    const next = new NextEndpoints(this.#endpoints, this.#names, (set, address) => this.#create(set, address));
    for (const set of this.#sets) next.add(set);
    this.#take(next.complete());
  }

  #take({ endpoints, created }: Completed): void {
    const before = this.#endpoints;
    this.#endpoints = endpoints;
    this.#changes++;
    for (const endpoint of created) this.#events.added(endpoint);
    if (endpoints.size - created.length === before.size) return;
    for (const [key, endpoint] of before) {
      if (endpoints.has(key)) continue;
      endpoint.retired = true;
      this.#events.retired(endpoint);
    }
  }
}

interface Completed {
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  /** Those that were not there before. */
  readonly created: readonly Endpoint[];
}

/**
 * The endpoints of sets that are not used yet. They are found set by set, so that `complete`, which must not be
 * interrupted, has little to do: only names are looked up by then, since their addresses change.
 */
class NextEndpoints {
  readonly sets: LiveSet[] = [];
  readonly questions: EndpointQuestion[] = [];
  readonly #before: ReadonlyMap<string, Endpoint>;
  readonly #names: EndpointResolver;
  readonly #create: (set: LiveSet, address: EndpointAddress) => Endpoint;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #created = new Map<string, Endpoint>();
  readonly #filled: { readonly set: LiveSet; readonly endpoints: readonly Endpoint[] }[] = [];
  readonly #named: LiveSet[] = [];
  readonly #changed: { readonly endpoint: Endpoint; readonly set: LiveSet }[] = [];

  constructor(
    before: ReadonlyMap<string, Endpoint>,
    names: EndpointResolver,
    create: (set: LiveSet, address: EndpointAddress) => Endpoint,
  ) {
    this.#before = before;
    this.#names = names;
    this.#create = create;
  }

  add(set: LiveSet): void {
    this.sets.push(set);
    const { questions } = set;
    this.questions.push(...questions);
    if (questions.length > 0) this.#named.push(set);
    else this.#fill(set);
  }

  /** Whether what was found still holds with these endpoints in place of those before. */
  fits(endpoints: ReadonlyMap<string, Endpoint>): boolean {
    for (const [key, endpoint] of this.#endpoints) {
      if (endpoints.get(key) !== (this.#created.has(key) ? undefined : endpoint)) return false;
    }
    return true;
  }

  complete(): Completed {
    for (const set of this.#named) this.#fill(set);
    for (const { set, endpoints } of this.#filled) set.current = endpoints;
    for (const { endpoint, set } of this.#changed) {
      endpoint.maxInFlight = set.maxConnections;
      endpoint.reuse = set.reuse;
    }
    return { endpoints: this.#endpoints, created: [...this.#created.values()] };
  }

  #fill(set: LiveSet): void {
    const endpoints = set.addresses(this.#names).map((address) => this.#endpointAt(set, address));
    this.#filled.push({ set, endpoints: Object.freeze(endpoints) });
  }

  #endpointAt(set: LiveSet, address: EndpointAddress): Endpoint {
    const key = keyOf(set, address);
    const known = this.#endpoints.get(key) ?? this.#before.get(key);
    const endpoint = known ?? this.#create(set, address);
    if (known === undefined) this.#created.set(key, endpoint);
    if (endpoint.maxInFlight !== set.maxConnections || endpoint.reuse !== set.reuse) {
      this.#changed.push({ endpoint, set });
    }
    this.#endpoints.set(key, endpoint);
    return endpoint;
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
  /** The same for a version of the generation before that has not changed, with the set that it has. */
  keep(set: EndpointSet): void;
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

  get questions(): readonly EndpointQuestion[] {
    return this.#specs.flatMap((spec) => (spec.kind === "address" ? [] : [spec.question]));
  }

  /** Each once, even if two names resolve to it. */
  addresses(names: EndpointResolver): EndpointAddress[] {
    const addresses = this.#specs.flatMap((spec) =>
      spec.kind === "address"
        ? [spec.address]
        : names.records(spec.question).map((record) => recordAddress(spec, record)),
    );
    const byOrigin = new Map<string, EndpointAddress>();
    for (const address of addresses) if (!byOrigin.has(address.origin)) byOrigin.set(address.origin, address);
    return [...byOrigin.values()];
  }
}

/** Includes the host: for another name the same address must present another certificate, on separate connections. */
const keyOf = ({ service, version }: LiveSet, { origin, host }: EndpointAddress): string =>
  `${service} ${version} ${origin} ${host}`;
