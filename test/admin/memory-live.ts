import type { EndpointReport } from "../../src/admin/endpoint-report.ts";
import type { HistoryBody, LiveRelease, RecentBody, TickBody } from "../../src/admin/live/live-bodies.ts";
import type { LiveView } from "../../src/admin/live/live-view.ts";
import type { LogDraft } from "../../src/observe/live/activity-log.ts";
import { ActivityLog } from "../../src/observe/live/activity-log.ts";
import type { DecisionBatch, DecisionLine } from "../../src/observe/live/decision-tail.ts";

const summary = { spanMs: 60_000, requests: 10, failed: 1, p50: [9, 8, 10], p95: null, p99: null } as const;
const counts = { share: 0.9, expectedShare: 0.9, decisions: 9, placed: 1 };

export const endpoint: EndpointReport = {
  service: "shop",
  version: "stable",
  endpoint: "http://10.0.0.1:80",
  state: "up",
  why: null,
  since: null,
  triedAgainAt: null,
  checked: { by: "http", everyMs: 5_000 },
  singleUseUntil: null,
};

const release: LiveRelease = {
  release: "shop",
  unit: "pin",
  baseline: "stable",
  candidate: "canary",
  versions: [{ version: "stable", configuredShare: 0.9 }],
  rules: [{ rule: "east", when: "region is east", use: "canary" }],
  routes: ["shop"],
  services: ["shop"],
  configuredSplit: { stable: 90, canary: 10 },
  isDirected: false,
};

const series = { slotMs: 1_000, newestMs: 5_000, versions: { stable: [null, [10, 1, 9, 20, 21.5, 0.9]] } } as const;

export const decision: DecisionLine = {
  atMs: 1_000,
  route: "shop",
  method: "GET",
  release: "shop",
  version: "stable",
  assigned: null,
  reason: "split",
  rule: null,
  status: 200,
  error: null,
  durationMs: 1.5,
};

/** What the dashboard follows, of one release. Its second is over when the test says so. */
export class MemoryLive implements LiveView {
  instance = "here-1";
  currentEndpoints: readonly EndpointReport[] = [endpoint];
  currentReleases: readonly LiveRelease[] = [release];
  /** Undefined until the first second is over. */
  currentTick: TickBody | undefined;
  readonly log = new ActivityLog(() => 0);
  /** How often each part was asked for. */
  readonly asked = { releases: 0, endpoints: 0, tick: 0, ruleHits: 0, log: 0 };
  readonly #tickListeners = new Set<() => void>();
  readonly #decisionListeners = new Set<(batch: DecisionBatch) => void>();
  #seconds = 0;

  get followers(): number {
    return this.#tickListeners.size;
  }

  get watchers(): number {
    return this.#decisionListeners.size;
  }

  /** Ends a second. `name` of the version can be as long as a test needs. */
  pass(name = "stable"): void {
    this.#seconds++;
    const version = { point: [1, 0, 2, 3, 4, 0.9], minute: summary, fiveMinutes: summary, ...counts } as const;
    const ofRelease = {
      versions: { [name]: version },
      rules: { east: [3, 900] },
      pinFlips: 0,
      pinsRejected: 0,
    } as const;
    this.currentTick = { atMs: this.#seconds * 1_000, releases: { shop: ofRelease } };
    this.announce();
  }

  announce(): void {
    for (const listener of this.#tickListeners) listener();
  }

  happens(text: string, draft: Partial<LogDraft> = {}): void {
    this.log.add({ kind: "config", type: "reloaded", level: "info", text, ...draft });
  }

  decides(batch: DecisionBatch): void {
    for (const listener of this.#decisionListeners) listener(batch);
  }

  releases(): readonly LiveRelease[] {
    this.asked.releases++;
    return this.currentReleases;
  }

  endpoints(): readonly EndpointReport[] {
    this.asked.endpoints++;
    return this.currentEndpoints;
  }

  tick(): TickBody | undefined {
    this.asked.tick++;
    return this.currentTick;
  }

  ruleHits() {
    this.asked.ruleHits++;
    return { shop: { east: [3, 900] } } as const;
  }

  recent(): RecentBody {
    return { slotMs: 10_000, newestMs: 0, releases: { shop: { stable: [[10, 1]] } } };
  }

  history(name: string): HistoryBody | undefined {
    if (name !== "shop") return undefined;
    return { release: name, instance: this.instance, seconds: series, tens: { ...series, slotMs: 10_000 } };
  }

  onTick(listener: () => void): () => void {
    this.#tickListeners.add(listener);
    return () => this.#tickListeners.delete(listener);
  }

  logAfter(id: number) {
    this.asked.log++;
    return this.log.after(id);
  }

  onDecisions(listener: (batch: DecisionBatch) => void): () => void {
    this.#decisionListeners.add(listener);
    return () => this.#decisionListeners.delete(listener);
  }
}
