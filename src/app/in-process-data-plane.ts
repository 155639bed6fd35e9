import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { CompiledConfig, ListenerSpec } from "../config/compiled-config.ts";
import type { LoadedConfig } from "../config/load.ts";
import { PublishedKeyRegistry } from "../identify/published-keys.ts";
import { acceptQueued } from "../listener/accept-backlog.ts";
import { Listener } from "../listener/listener.ts";
import { Lanes } from "../listener/shared-pools.ts";
import { AccessLog, type LineDestination } from "../observe/access-log.ts";
import type { Logger } from "../observe/log.ts";
import { Observer } from "../observe/observer.ts";
import { type ExporterSpec, SpanExporter } from "../observe/otlp-exporter.ts";
import type { CellRegistry } from "../observe/stats-registry.ts";
import { packageVersion } from "../package-version.ts";
import { ActiveSnapshot } from "../proxy/active-snapshot.ts";
import { EventClock } from "../proxy/cached-clock.ts";
import { Load } from "../proxy/overload.ts";
import type { Gateway } from "../proxy/proxy-context.ts";
import type { Snapshot } from "../proxy/snapshot.ts";
import type { DnsNames } from "../upstream/dns-resolver.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Condition } from "../upstream/endpoint-health.ts";
import { type EndpointEvents, EndpointRegistry } from "../upstream/endpoint-registry.ts";
import { HealthChecks } from "../upstream/health-checks.ts";
import { networkProbe } from "../upstream/probes.ts";
import { ServiceRegistry } from "../upstream/service-registry.ts";
import { questionsOf } from "../upstream/service-spec.ts";
import type { BoundListener } from "../workers/messages.ts";
import { bound, type Preparation, type Serving } from "./data-plane.ts";
import { createEndpointNames, firstAnswersMs, toldNames } from "./dns.ts";
import { connectionsByOpenFiles } from "./fd-limit.ts";
import { JwksFetcher } from "./jwks-fetcher.ts";
import { DeadBuffers } from "./minor-gc.ts";
import { batchedRandom, batchedUuids } from "./random.ts";

export interface DataPlaneParts {
  readonly first: Pick<LoadedConfig, "compiled" | "hash">;
  readonly cells: CellRegistry;
  readonly accessLines: LineDestination;
  readonly log: Logger;
  /** What TLS session tickets are sealed with: 48 octets, the same for all workers. */
  readonly ticketKeys: Buffer;
  /** How many data planes this process has. */
  readonly planes: number;
}

/** Several data planes listen on each port (SO_REUSEPORT). */
export interface SharedPorts {
  /** In the listeners' order; undefined: as configured. */
  readonly ports: readonly number[] | undefined;
  /** A unix socket can not be shared so: one data plane has it. */
  readonly unixSockets: "here" | "elsewhere";
}

/** How long connections that wait to be accepted may hold up a close. */
const acceptQueuedMs = 1_000;

/** How long copies that are under way are waited for once the last request has ended. */
const lastMirrorsMs = 1_000;

/** How long a collector may take for the last spans. */
const lastSpansMs = 2_000;

// Imported, since the global `performance` is a getter, which costs more than the clock behind it.
const systemClocks = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };

function wake(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms).unref();
  return () => clearTimeout(timer);
}

/** Everything that serves requests in one thread: listeners, lanes, the active snapshot and what it counts. */
export class DataPlane implements Serving {
  readonly active: ActiveSnapshot;
  readonly endpoints: EndpointRegistry;
  readonly workers = { serving: 1, restarts: 0 };
  readonly #parts: DataPlaneParts;
  readonly #names: DnsNames;
  readonly #time = new EventClock(systemClocks);
  readonly #clock = { nowMs: this.#time.nowMs, monotonicMs: this.#time.monotonicMs, wake };
  readonly #lanes = new Lanes(this.#time);
  readonly #checks = new HealthChecks({ clock: this.#clock, probe: networkProbe, randomFraction: Math.random });
  readonly #keys: JwksFetcher;
  readonly #accessLog: AccessLog;
  readonly #spans: SpanExporter;
  readonly #gateway: PlaneGateway;
  readonly #load: Load;
  readonly #fittingConnections: number;
  /** By name. */
  #listeners: ReadonlyMap<string, Listener> = new Map();
  #brokenOff = false;

  constructor(parts: DataPlaneParts) {
    const { first, cells, accessLines } = parts;
    const { nowMs, monotonicMs } = this.#clock;
    this.#parts = parts;
    this.#names = createEndpointNames(
      toldNames(parts.log, (name, outcome) => cells.names().get(name)?.resolved(outcome)),
    );
    const events: EndpointEvents = {
      added: (endpoint) => this.#checks.added(endpoint),
      retired: (endpoint) => {
        this.#checks.retired(endpoint);
        this.#lanes.retire(endpoint);
      },
      changed: (endpoint, condition) => tellCondition(parts.log, endpoint, condition),
    };
    this.endpoints = new EndpointRegistry(events, this.#names);
    this.#keys = new JwksFetcher({ cells: cells.jwks, log: parts.log, monotonicMs });
    const keys = new PublishedKeyRegistry(this.#keys);
    const services = new ServiceRegistry(this.#clock);
    this.active = new ActiveSnapshot(cells, this.endpoints, first.compiled, first.hash, keys, services);
    this.#checks.configure(first.compiled.services);
    this.#accessLog = new AccessLog({ destination: accessLines, sample: first.compiled.accessLog.sample, nowMs });
    this.#spans = new SpanExporter({
      cells: cells.spans,
      resource: { version: packageVersion, instanceId: randomUUID() },
      onTrouble: (why) => parts.log.warn({ why }, "the collector does not take spans"),
      randomFraction: Math.random,
    });
    this.#spans.configure(exporterSpec(first.compiled));
    this.#load = new Load(monotonicMs, (cause) => cells.shed.shed(cause));
    this.#load.watch(first.compiled.limits);
    this.#fittingConnections = connectionsByOpenFiles(parts.planes * first.compiled.listeners.length);
    const deadBuffers = new DeadBuffers();
    this.#gateway = new PlaneGateway({
      active: this.active,
      clock: this.#time,
      observer: new Observer(this.#accessLog),
      load: this.#load,
      mirrors: this.#lanes.mirrors,
      spans: this.#spans,
      streamed: (bytes) => deadBuffers.passed(bytes),
      handedOver: (cause) => cells.handovers.handedOver(cause),
      defect: (error) => parts.log.error({ err: error }, "a request failed by a defect of Perch"),
    });
  }

  async listen(shared?: SharedPorts): Promise<readonly BoundListener[]> {
    const listeners = this.#parts.first.compiled.listeners.flatMap((configured, index) => {
      const { address } = configured;
      if ("path" in address && shared?.unixSockets === "elsewhere") return [];
      const port = shared?.ports?.[index];
      const spec =
        "path" in address || port === undefined ? configured : { ...configured, address: { ...address, port } };
      return [{ spec, listener: this.#createListener(spec) }];
    });
    this.#listeners = new Map(listeners.map(({ spec, listener }) => [spec.name, listener]));
    await this.#resolve(this.#parts.first.compiled);
    const listening: BoundListener[] = [];
    for (const { spec, listener } of listeners) {
      const listen = () => listener.listen({ reusePort: shared !== undefined });
      listening.push({ name: spec.name, address: await bound(`listener "${spec.name}"`, spec.address, listen) });
    }
    return listening;
  }

  async prepare({ compiled, hash }: LoadedConfig): Promise<Preparation> {
    const commit = this.#build(compiled, hash);
    await this.#resolve(compiled);
    return { kind: "prepared", commit: async () => commit() };
  }

  async refresh(): Promise<void> {}

  drain(): void {
    this.#gateway.draining = true;
  }

  async close(): Promise<void> {
    await acceptQueued(acceptQueuedMs);
    const closed = this.#close();
    // Told while the queues were emptied, it missed those who came after.
    if (this.#brokenOff) this.breakOff();
    await closed;
    await this.#lanes.mirrors.settled(lastMirrorsMs);
    await this.#spans.flush(lastSpansMs);
  }

  breakOff(): void {
    this.#brokenOff = true;
    for (const listener of this.#listeners.values()) listener.destroy();
  }

  async free(): Promise<void> {
    this.#names.stop();
    this.#checks.stop();
    this.#load.stop();
    this.breakOff();
    await this.#close();
    await this.#keys.close();
    await this.#lanes.destroy();
    await this.#spans.destroy();
  }

  async #close(): Promise<void> {
    await Promise.all(Array.from(this.#listeners.values(), (listener) => listener.close()));
  }

  #resolve({ services, dns }: CompiledConfig): Promise<void> {
    return this.#names.prepare(questionsOf(services), dns, firstAnswersMs);
  }

  #build(compiled: CompiledConfig, hash: string): () => void {
    const specs = new Map(compiled.listeners.map((spec) => [spec.name, spec]));
    const prepared = Array.from(this.#listeners, ([name, listener]) => listener.prepare(specs.get(name)));
    const swap = this.active.prepare(compiled, hash);
    return () => {
      const snapshot = swap();
      this.#checks.configure(compiled.services);
      this.#spans.configure(exporterSpec(compiled));
      this.#accessLog.sample = compiled.accessLog.sample;
      this.#load.watch(compiled.limits);
      for (const change of prepared) change(snapshot);
    };
  }

  #createListener(spec: ListenerSpec): Listener {
    return new Listener({
      gateway: this.#gateway,
      lanes: this.#lanes,
      spec,
      ticketKeys: this.#parts.ticketKeys,
      fittingConnections: this.#fittingConnections,
    });
  }
}

/** Once for each change, never for each request. */
function tellCondition(log: Logger, { service, version, origin }: Endpoint, { state, why }: Condition): void {
  const about = { service, version, endpoint: origin, state, why };
  if (state === "up") log.info(about, "an endpoint is up again");
  else log.warn(about, "an endpoint gets no requests");
}

function exporterSpec({ tracing }: CompiledConfig): ExporterSpec | undefined {
  return tracing?.otlp && { serviceName: tracing.serviceName, collector: tracing.otlp };
}

/** What of a gateway is not the same for all. */
export type GatewayParts = Pick<
  Gateway,
  "observer" | "load" | "mirrors" | "spans" | "streamed" | "handedOver" | "defect"
> & {
  readonly active: ActiveSnapshot;
  readonly clock: EventClock;
};

/**
 * The gateway of one data plane. A class, since V8 keeps an object literal that has getters as a hash table, and a request
 * asks its gateway a dozen things.
 */
export class PlaneGateway implements Gateway {
  draining = false;
  readonly observer: Gateway["observer"];
  readonly load: Gateway["load"];
  readonly mirrors: Gateway["mirrors"];
  readonly spans: Gateway["spans"];
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly randomFraction = Math.random;
  readonly randomUnit = batchedRandom();
  readonly newRequestId = batchedUuids();
  readonly streamed: Gateway["streamed"];
  readonly handedOver: Gateway["handedOver"];
  readonly defect: Gateway["defect"];
  readonly #active: ActiveSnapshot;

  constructor(parts: GatewayParts) {
    this.#active = parts.active;
    this.nowMs = parts.clock.nowMs;
    this.monotonicMs = parts.clock.monotonicMs;
    this.observer = parts.observer;
    this.load = parts.load;
    this.mirrors = parts.mirrors;
    this.spans = parts.spans;
    this.streamed = parts.streamed;
    this.handedOver = parts.handedOver;
    this.defect = parts.defect;
  }

  get snapshot(): Snapshot {
    return this.#active.current;
  }
}
