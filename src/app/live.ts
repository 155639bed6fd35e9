import { reportRelease } from "../admin/api.ts";
import { type EndpointReport, reportEndpoints } from "../admin/endpoint-report.ts";
import type {
  HistoryBody,
  LiveRelease,
  RecentBody,
  ReleaseTick,
  TickBody,
  VersionTick,
} from "../admin/live/live-bodies.ts";
import type { LiveView } from "../admin/live/live-view.ts";
import type { ActivityLog, LogEntry } from "../observe/live/activity-log.ts";
import type { DecisionBatch } from "../observe/live/decision-tail.ts";
import { TrafficHistory } from "../observe/live/traffic-history.ts";
import type { Logger } from "../observe/log.ts";
import { releaseGroup } from "../observe/release-stats.ts";
import type { StatsRegistry } from "../observe/stats-registry.ts";
import { withWeightsInForce } from "../observe/weight-ratio.ts";
import type { Rollouts } from "../rollout/rollouts-api.ts";
import type { Schedule } from "../upstream/clock.ts";
import type { DataPlane } from "./data-plane.ts";
import { EndpointChanges } from "./endpoint-changes.ts";
import { rolloutEntry } from "./live-entries.ts";
import { LiveReleases } from "./live-releases.ts";

export interface LiveParts {
  readonly instance: string;
  readonly dataPlane: Pick<DataPlane, "active" | "endpoints" | "traffic" | "watchDecisions">;
  readonly stats: StatsRegistry;
  readonly rollouts: Pick<Rollouts, "eventsAfter" | "subscribe">;
  readonly activity: ActivityLog;
  readonly log: Logger;
  readonly nowMs: () => number;
  readonly schedule: Schedule;
}

const secondMs = 1_000;
/** A timer may fire a little before its time. */
const earlyMs = 20;
/** Of the events that the state file kept: what went before this process. */
const maxEarlierEvents = 200;

/** The dashboard's source. It looks once a second, whether anybody else does or not, so that history has no holes. */
export class Live implements LiveView {
  readonly instance: string;
  readonly #parts: LiveParts;
  readonly #history: TrafficHistory;
  readonly #releases = new LiveReleases();
  readonly #endpoints: EndpointChanges;
  readonly #tickListeners = new Set<() => void>();
  readonly #decisionListeners = new Set<(batch: DecisionBatch) => void>();
  readonly #endSubscription: () => void;
  #cancel: () => void = () => {};
  #isClosed = false;
  /** Undefined until the first second has passed; built on demand. */
  #tick: { readonly atMs: number; body: TickBody | undefined } | undefined;

  constructor(parts: LiveParts) {
    const { instance, rollouts, activity, nowMs } = parts;
    this.#parts = parts;
    this.instance = instance;
    this.#history = new TrafficHistory(nowMs());
    this.#endpoints = new EndpointChanges(activity);
    for (const event of rollouts.eventsAfter(0).slice(-maxEarlierEvents)) activity.add(rolloutEntry(event));
    this.#endSubscription = rollouts.subscribe((event) => activity.add(rolloutEntry(event)));
    this.#lookLater();
  }

  releases(): readonly LiveRelease[] {
    return this.#releases.of(this.#parts.dataPlane.active.current);
  }

  endpoints(): readonly EndpointReport[] {
    const { active, endpoints } = this.#parts.dataPlane;
    return reportEndpoints(endpoints.all(), active.current.config.services, this.#parts.nowMs());
  }

  tick(): TickBody | undefined {
    if (this.#tick === undefined) return undefined;
    this.#tick.body ??= this.#tickBody(this.#tick.atMs);
    return this.#tick.body;
  }

  ruleHits(): Readonly<Record<string, ReleaseTick["rules"]>> {
    return Object.fromEntries(this.releases().map(({ release }) => [release, this.#history.rules(release)]));
  }

  recent(): RecentBody {
    const releases = this.releases().map(({ release }) => [release, this.#history.recent(release)] as const);
    const slotMs = 10_000;
    const newestMs = Math.floor(this.#history.atMs / slotMs) * slotMs;
    return { slotMs, newestMs, releases: Object.fromEntries(releases) };
  }

  history(release: string): HistoryBody | undefined {
    this.#history.follow(this.releases());
    const series = this.#history.series(release);
    return series && { release, instance: this.instance, ...series };
  }

  onTick(listener: () => void): () => void {
    this.#tickListeners.add(listener);
    return () => void this.#tickListeners.delete(listener);
  }

  logAfter(id: number): readonly LogEntry[] {
    return this.#parts.activity.after(id);
  }

  onDecisions(listener: (batch: DecisionBatch) => void): () => void {
    const { dataPlane } = this.#parts;
    // A new object, so that a function registered twice is called twice, and each registration ends separately.
    const own = (batch: DecisionBatch) => listener(batch);
    this.#decisionListeners.add(own);
    if (this.#decisionListeners.size === 1) dataPlane.watchDecisions(true);
    return () => {
      if (this.#decisionListeners.delete(own) && this.#decisionListeners.size === 0) dataPlane.watchDecisions(false);
    };
  }

  /** What the data plane sampled. */
  decided(batch: DecisionBatch): void {
    for (const listener of this.#decisionListeners) listener(batch);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
    this.#endSubscription();
  }

  /** Right after each second ends. By the clock, not by an interval, whose drift would skip seconds. */
  #lookLater(): void {
    if (this.#isClosed) return;
    const { nowMs, schedule, log } = this.#parts;
    this.#cancel = schedule(secondMs - (nowMs() % secondMs), () => {
      this.#look()
        .catch((error) => log.error({ err: error }, "live data could not be collected (a bug in Perch)"))
        .finally(() => this.#lookLater());
    });
  }

  async #look(): Promise<void> {
    const { dataPlane, nowMs } = this.#parts;
    const atMs = Math.floor((nowMs() + earlyMs) / secondMs) * secondMs - secondMs;
    if (atMs === this.#history.atMs) return;
    const counts = await dataPlane.traffic();
    if (this.#isClosed) return;
    this.#history.record(atMs, counts, this.releases());
    this.#endpoints.look(dataPlane.endpoints.all());
    this.#tick = { atMs, body: undefined };
    for (const listener of this.#tickListeners) listener();
  }

  #tickBody(atMs: number): TickBody {
    const { dataPlane, stats, nowMs } = this.#parts;
    const decided = stats.all(releaseGroup);
    const releases = Array.from(dataPlane.active.current.releases.values()).flatMap(({ policy }) => {
      const found = decided.get(policy.name);
      if (found === undefined) return [];
      const report = reportRelease(withWeightsInForce(policy), found, nowMs());
      return [[policy.name, this.#releaseTick(atMs, report)] as const];
    });
    return { atMs, releases: Object.fromEntries(releases) };
  }

  #releaseTick(atMs: number, report: ReturnType<typeof reportRelease>): ReleaseTick {
    const { release, pinFlips, pinsRejected } = report;
    const served = this.#history.versions(release);
    const versions = report.versions.flatMap(({ version, lastMinute }): (readonly [string, VersionTick])[] => {
      const now = served[version];
      return now === undefined ? [] : [[version, { ...now, ...lastMinute }]];
    });
    return {
      versions: Object.fromEntries(versions),
      rules: Object.fromEntries(
        Object.entries(this.#history.rules(release)).filter(([, [, lastMs]]) => lastMs === atMs),
      ),
      pinFlips,
      pinsRejected: Object.values(pinsRejected).reduce((sum, count) => sum + count, 0),
    };
  }
}
