import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { CompiledConfig, ListenerSpec } from "../config/compiled-config.ts";
import type { LoadedConfig } from "../config/load.ts";
import { PublishedKeyRegistry } from "../identify/published-keys.ts";
import { drainAcceptBacklog } from "../listener/accept-backlog.ts";
import { Listener } from "../listener/listener.ts";
import { SharedPools } from "../listener/shared-pools.ts";
import { AccessLog, type LineDestination } from "../observe/access-log.ts";
import { dnsGroup } from "../observe/dns-stats.ts";
import { type DecisionBatch, DecisionTail } from "../observe/live/decision-tail.ts";
import { TrafficCounter, type TrafficCounts } from "../observe/live/traffic-counts.ts";
import type { Logger } from "../observe/log.ts";
import { Observer } from "../observe/observer.ts";
import { type ExporterSpec, SpanExporter } from "../observe/otlp-exporter.ts";
import type { RolloutReport } from "../observe/rollout/rollout-report.ts";
import { type Directions, RolloutTaps } from "../observe/rollout/rollout-taps.ts";
import type { StatsRegistry } from "../observe/stats-registry.ts";
import { packageVersion } from "../package-version.ts";
import { ActiveSnapshot } from "../proxy/active-snapshot.ts";
import { CachedClock } from "../proxy/fast/cached-clock.ts";
import { OverloadManager } from "../proxy/overload.ts";
import type { ProxyContext } from "../proxy/proxy-context.ts";
import type { Snapshot } from "../proxy/snapshot.ts";
import { RedisStores } from "../redis/redis-stores.ts";
import { scheduleUnref } from "../upstream/clock.ts";
import { fittingConnections } from "../upstream/descriptor-reserve.ts";
import type { DnsResolver } from "../upstream/dns-resolver.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Condition, Outage } from "../upstream/endpoint-health.ts";
import { type EndpointEvents, EndpointRegistry } from "../upstream/endpoint-registry.ts";
import { EndpointResolvers, noSlices, type SliceResolver } from "../upstream/endpoint-resolver.ts";
import { HealthChecks } from "../upstream/health-checks.ts";
import { networkProbe } from "../upstream/probes.ts";
import { ServiceRegistry } from "../upstream/service-registry.ts";
import { questionsOf, sliceQuestionsOf } from "../upstream/service-spec.ts";
import type { BoundListener, ListenInput } from "../workers/messages.ts";
import { type Acceptance, bound, type DataPlane, judgedSafely, type Preparation } from "./data-plane.ts";
import { createDnsResolver, firstAnswersMs, loggingDnsEvents } from "./dns.ts";
import { JwksFetcher } from "./jwks-fetcher.ts";
import { MinorGc } from "./minor-gc.ts";
import { batchedRandom, batchedUuids } from "./random.ts";
import { loggingRedisEvents } from "./redis.ts";
import { inSlices } from "./slices.ts";

export interface DataPlaneParts {
  readonly first: Pick<LoadedConfig, "compiled" | "hash">;
  readonly stats: StatsRegistry;
  readonly accessLines: LineDestination;
  readonly log: Logger;
  /** The keys of TLS session tickets: 48 bytes, the same for all workers. */
  readonly ticketKeys: Buffer;
  /** The number of data planes in this process. */
  readonly planes: number;
  /** Where endpoints in Kubernetes are. Default: nowhere. */
  readonly slices?: SliceResolver;
  /** Takes what was seen of rollouts: at once where an answer was bad. May call `direct`. */
  readonly onRolloutReport: (report: RolloutReport) => void;
  /** Takes sampled decisions while they are watched. */
  readonly onDecisions: (batch: DecisionBatch) => void;
}

/** Maximum time for accepting the connections in the backlog before a close. */
const backlogDrainMs = 1_000;

/** Maximum wait for mirrored requests after the last request has ended. */
const mirrorDrainMs = 1_000;

/** Maximum wait for the export of the last spans. */
const spanFlushMs = 2_000;

// Imported from perf_hooks: the global `performance` is a getter, which costs more than reading the clock.
const systemClock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };

/** Serves requests in one thread: listeners, lanes, the active snapshot and its stats. */
export class InProcessDataPlane implements DataPlane {
  readonly active: ActiveSnapshot;
  readonly endpoints: EndpointRegistry;
  readonly #parts: DataPlaneParts;
  readonly #names: DnsResolver;
  readonly #slices: SliceResolver;
  readonly #clock = new CachedClock(systemClock);
  readonly #timers = { nowMs: this.#clock.nowMs, monotonicMs: this.#clock.monotonicMs, schedule: scheduleUnref };
  readonly #pools = new SharedPools(this.#clock);
  readonly #checks = new HealthChecks({ timers: this.#timers, probe: networkProbe, randomFraction: Math.random });
  readonly #taps: RolloutTaps;
  readonly #keys: JwksFetcher;
  readonly #redis: RedisStores;
  readonly #accessLog: AccessLog;
  readonly #tail: DecisionTail;
  readonly #traffic: TrafficCounter;
  readonly #spans: SpanExporter;
  readonly #context: DataPlaneContext;
  readonly #overload: OverloadManager;
  readonly #fittingConnections: number;
  /** By name, in the order of the configuration. */
  readonly #listeners: ReadonlyMap<string, Listener>;
  #namesResolved: Promise<void> | undefined;
  #trafficFollowed: Promise<void> | undefined;
  #listening = false;
  #aborted = false;

  constructor(parts: DataPlaneParts) {
    const { first, stats, accessLines, slices = noSlices } = parts;
    const { nowMs, monotonicMs } = this.#clock;
    this.#parts = parts;
    this.#names = createDnsResolver(
      loggingDnsEvents(parts.log, (name, outcome) => stats.all(dnsGroup).get(name)?.resolved(outcome)),
    );
    const events: EndpointEvents = {
      added: (endpoint) => this.#checks.added(endpoint),
      retired: (endpoint) => {
        this.#checks.retired(endpoint);
        this.#pools.retire(endpoint);
      },
      changed: (endpoint, condition) => logCondition(parts.log, endpoint, condition),
      unsolicited: (endpoint, effect) => {
        const version = this.active.current.services.get(endpoint.service)?.versions.get(endpoint.version);
        if (version !== undefined) version.stats.unsolicited.value++;
        if (effect === "reuse ends") logSingleUse(parts.log, endpoint);
      },
    };
    this.#slices = slices;
    this.endpoints = new EndpointRegistry(events, new EndpointResolvers(this.#names, slices));
    this.#keys = new JwksFetcher({ stats: stats.jwks, log: parts.log, monotonicMs });
    const keys = new PublishedKeyRegistry(this.#keys);
    const services = new ServiceRegistry(this.#timers);
    this.#taps = new RolloutTaps({
      handOver: judgedSafely(parts.onRolloutReport, parts.log),
      schedule: scheduleUnref,
      seed: batchedRandom().int32(),
    });
    this.#redis = new RedisStores({
      events: loggingRedisEvents(stats, parts.log),
      monotonicMs,
      schedule: scheduleUnref,
      randomFraction: Math.random,
    });
    this.active = new ActiveSnapshot(
      stats,
      this.endpoints,
      first.compiled,
      first.hash,
      keys,
      services,
      this.#taps,
      this.#redis,
    );
    this.#checks.configure(first.compiled.services);
    this.#accessLog = new AccessLog({ destination: accessLines, sample: first.compiled.accessLog.sample, nowMs });
    this.#tail = new DecisionTail({ handOver: parts.onDecisions, nowMs, schedule: scheduleUnref });
    this.#traffic = new TrafficCounter(stats);
    this.#spans = new SpanExporter({
      stats: stats.spans,
      resource: { version: packageVersion, instanceId: randomUUID() },
      onTrouble: (why) => parts.log.warn({ why }, "span export failed"),
      randomFraction: Math.random,
    });
    this.#spans.configure(exporterSpec(first.compiled));
    this.#overload = new OverloadManager(monotonicMs, (cause) => stats.shed.shed(cause));
    this.#overload.watch(first.compiled.limits);
    this.#fittingConnections = fittingConnections(parts.planes * first.compiled.listeners.length);
    const minorGc = new MinorGc();
    this.#context = new DataPlaneContext({
      active: this.active,
      clock: this.#clock,
      observer: new Observer(this.#accessLog, this.#tail),
      overload: this.#overload,
      mirrors: this.#pools.mirrors,
      spans: this.#spans,
      streamed: (bytes) => minorGc.streamed(bytes),
      handedOver: (cause) => stats.handovers.handedOver(cause),
      refused: (error, cause) => stats.refusals.refused(error, cause),
      defect: (error) => parts.log.error({ err: error }, "request failed with an internal error (a bug in Perch)"),
    });
    this.#listeners = new Map(first.compiled.listeners.map((spec) => [spec.name, this.#createListener(spec)]));
  }

  get workers(): DataPlane["workers"] {
    return { serving: this.#listening ? 1 : 0, restarts: 0 };
  }

  get acceptance(): Acceptance {
    return this.#listening ? "ready" : "starting";
  }

  /** Resolves once the names of endpoints have addresses, or the wait for them has ended. */
  namesResolved(): Promise<void> {
    this.#namesResolved ??= this.#resolve(this.#parts.first.compiled);
    return this.#namesResolved;
  }

  /** `shared`: several data planes listen on the same ports (SO_REUSEPORT), and one of them has the unix sockets. */
  async listen(shared?: ListenInput): Promise<readonly BoundListener[]> {
    await Promise.all([this.namesResolved(), this.#redis.settled()]);
    const listening: BoundListener[] = [];
    for (const [index, { name, address }] of this.#parts.first.compiled.listeners.entries()) {
      if ("path" in address && shared?.unixSockets === "elsewhere") continue;
      const port = shared?.ports?.[index];
      const listen = async () => this.#listeners.get(name)?.listen({ port, reusePort: shared !== undefined }) ?? "";
      listening.push({ name, address: await bound(`listener "${name}"`, address, listen) });
    }
    this.#listening = true;
    return listening;
  }

  async prepare({ compiled, hash }: DataPlaneParts["first"]): Promise<Preparation> {
    const commit = await inSlices(this.#building(compiled, hash));
    await this.#resolve(compiled);
    return { kind: "prepared", commit: async (directions) => commit(directions) };
  }

  async direct(directions: Directions): Promise<void> {
    this.active.direct(directions.traffic);
    this.#taps.direct(directions);
  }

  async refresh(): Promise<void> {}

  async traffic(): Promise<TrafficCounts> {
    this.#trafficFollowed ??= this.#followTraffic().finally(() => {
      this.#trafficFollowed = undefined;
    });
    await this.#trafficFollowed;
    return this.#traffic.counts(this.active.current.config);
  }

  watchDecisions(areWatched: boolean): void {
    this.#tail.watch(areWatched);
  }

  drain(): void {
    this.#context.draining = true;
  }

  async close(): Promise<void> {
    await drainAcceptBacklog(backlogDrainMs);
    const closed = this.#close();
    // An abort while the backlog was drained missed the connections accepted after it.
    if (this.#aborted) this.abort();
    await closed;
    await this.#pools.mirrors.settled(mirrorDrainMs);
    await this.#spans.flush(spanFlushMs);
  }

  abort(): void {
    this.#aborted = true;
    for (const listener of this.#listeners.values()) listener.destroy();
  }

  async dispose(): Promise<void> {
    this.#names.stop();
    this.#checks.stop();
    this.#overload.stop();
    this.abort();
    await this.#close();
    this.#taps.close();
    this.#tail.watch(false);
    await this.#keys.close();
    this.#redis.close();
    await this.#pools.destroy();
    await this.#spans.destroy();
  }

  async #followTraffic(): Promise<void> {
    // Another configuration may become active in the meantime.
    while (!this.#traffic.follows(this.active.current.config)) {
      await inSlices(this.#traffic.following(this.active.current.config));
    }
  }

  async #close(): Promise<void> {
    await Promise.all(Array.from(this.#listeners.values(), (listener) => listener.close()));
  }

  async #resolve({ services, dns }: CompiledConfig): Promise<void> {
    await Promise.all([
      this.#names.prepare(questionsOf(services), dns, firstAnswersMs),
      this.#slices.prepare(sliceQuestionsOf(services), firstAnswersMs),
    ]);
  }

  *#building(compiled: CompiledConfig, hash: string): Generator<undefined, (directions: Directions) => void> {
    const specs = new Map(compiled.listeners.map((spec) => [spec.name, spec]));
    const prepared: ReturnType<Listener["prepare"]>[] = [];
    for (const [name, listener] of this.#listeners) {
      prepared.push(listener.prepare(specs.get(name)));
      yield;
    }
    const swap = yield* this.active.building(compiled, hash);
    return (directions) => {
      const snapshot = swap(directions.traffic);
      this.#taps.direct(directions);
      this.#checks.configure(compiled.services);
      this.#spans.configure(exporterSpec(compiled));
      this.#accessLog.sample = compiled.accessLog.sample;
      this.#overload.watch(compiled.limits);
      for (const change of prepared) change(snapshot);
    };
  }

  #createListener(spec: ListenerSpec): Listener {
    return new Listener({
      context: this.#context,
      lanes: this.#pools,
      spec,
      ticketKeys: this.#parts.ticketKeys,
      autoConnections: this.#fittingConnections,
    });
  }
}

const outageMessages: Readonly<Record<Outage, string>> = {
  failing: "upstream health check failed; the endpoint gets no requests",
  ejected: "upstream endpoint ejected after failed requests",
  refused: "upstream connection failed; the endpoint is paused",
};

function logCondition(log: Logger, { service, version, origin }: Endpoint, { state, why }: Condition): void {
  const fields = { service, version, endpoint: origin, state, why };
  if (state === "up") log.info(fields, "upstream endpoint is up again");
  else log.warn(fields, outageMessages[state]);
}

const singleUseMessage =
  "upstream endpoint sent bytes that no request asked for; for now each of its connections carries one request";
const singleUseHint =
  "look for responses longer than their Content-Length, bodies of a 204, second responses, or a 408 to idle connections (then set a shorter timeouts.keepAlive)";

/** At most once in the time that reuse is off. */
function logSingleUse(log: Logger, { service, version, origin, singleUse }: Endpoint): void {
  const singleUseUntil = new Date(singleUse.untilMs).toISOString();
  log.warn({ service, version, endpoint: origin, singleUseUntil, hint: singleUseHint }, singleUseMessage);
}

function exporterSpec({ tracing }: CompiledConfig): ExporterSpec | undefined {
  return tracing?.otlp && { serviceName: tracing.serviceName, collector: tracing.otlp };
}

/** The parts of a context that differ between data planes. */
export type DataPlaneContextParts = Pick<
  ProxyContext,
  "observer" | "overload" | "mirrors" | "spans" | "streamed" | "handedOver" | "refused" | "defect"
> & {
  readonly active: ActiveSnapshot;
  readonly clock: CachedClock;
};

/**
 * The context of one data plane. A class, because V8 stores an object literal with getters as a hash table, and a
 * request reads a dozen properties of its context.
 */
export class DataPlaneContext implements ProxyContext {
  draining = false;
  readonly observer: ProxyContext["observer"];
  readonly overload: ProxyContext["overload"];
  readonly mirrors: ProxyContext["mirrors"];
  readonly spans: ProxyContext["spans"];
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly randomFraction = Math.random;
  readonly randomUnit = batchedRandom();
  readonly newRequestId = batchedUuids();
  readonly streamed: ProxyContext["streamed"];
  readonly handedOver: ProxyContext["handedOver"];
  readonly refused: ProxyContext["refused"];
  readonly defect: ProxyContext["defect"];
  readonly #active: ActiveSnapshot;

  constructor(parts: DataPlaneContextParts) {
    this.#active = parts.active;
    this.nowMs = parts.clock.nowMs;
    this.monotonicMs = parts.clock.monotonicMs;
    this.observer = parts.observer;
    this.overload = parts.overload;
    this.mirrors = parts.mirrors;
    this.spans = parts.spans;
    this.streamed = parts.streamed;
    this.handedOver = parts.handedOver;
    this.refused = parts.refused;
    this.defect = parts.defect;
  }

  get snapshot(): Snapshot {
    return this.#active.current;
  }
}
