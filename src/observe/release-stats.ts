import { Counter, LabelCounters, StorageByName } from "./counters.ts";
import type { MetricStorage, Series, WindowSlot } from "./metric-storage.ts";
import { SlidingWindow } from "./sliding-window.ts";
import { StatsGroup } from "./stats-group.ts";

const reasons = ["override", "propagated", "rule", "pin", "split", "default"] as const;
export type Reason = (typeof reasons)[number];

/** Stands for versions that callers assigned and the release does not name, so that no caller makes series. */
export const otherVersion = "other";

const pinRejections = ["forged", "expired", "oversized", "malformed"] as const;
export type PinRejection = (typeof pinRejections)[number];

type DecisionCounts = {
  readonly byReason: ReadonlyMap<string, number> | undefined;
  readonly drawn: ReadonlyMap<number, WindowSlot> | undefined;
  readonly placed: ReadonlyMap<number, WindowSlot> | undefined;
  readonly odds: ReadonlyMap<number, WindowSlot> | undefined;
};

/** Decisions that assigned one version. */
export class DecisionCounters implements MetricStorage {
  readonly byReason = new LabelCounters(reasons);
  /**
   * By the split or the rollout, so that the share can be compared with the weight. Not exported; the admin API shows it.
   */
  readonly drawn = new SlidingWindow();
  /** By anything else: held pins, rules, overrides, callers. */
  readonly placed = new SlidingWindow();
  /** The sum of the odds of those that a rollout drew: how many of them the candidate was to get. */
  readonly odds = new SlidingWindow();

  /** Only reasons that occurred: a release names many versions that most reasons never assign. */
  *series(): Iterable<Series> {
    for (const series of this.byReason.series()) if (series.value > 0) yield series;
  }

  counts(): DecisionCounts | undefined {
    const [byReason, drawn, placed] = [this.byReason.counts(), this.drawn.counts(), this.placed.counts()];
    const odds = this.odds.counts();
    if (byReason === undefined && drawn === undefined && placed === undefined) return undefined;
    return { byReason, drawn, placed, odds };
  }

  restore(counts: DecisionCounts | undefined): void {
    this.byReason.restore(counts?.byReason);
    this.drawn.restore(counts?.drawn);
    this.placed.restore(counts?.placed);
    this.odds.restore(counts?.odds);
  }
}

/** What a release decided. */
export class ReleaseStats {
  readonly versions: StorageByName<DecisionCounters>;
  readonly ruleHits: StorageByName<Counter>;
  readonly pinsRejected: LabelCounters<PinRejection>;
  /** Users who were assigned another version than before. */
  readonly pinFlips: Counter;

  /** `versions`: all that the release can assign; `before`: its stats so far; those that still apply continue. */
  constructor(versions: readonly string[], rules: readonly string[], before?: ReleaseStats) {
    this.versions = new StorageByName(
      versions.map((name) => [name, before?.versions.get(name) ?? new DecisionCounters()]),
    );
    this.ruleHits = new StorageByName(rules.map((name) => [name, before?.ruleHits.get(name) ?? new Counter()]));
    this.pinsRejected = before?.pinsRejected ?? new LabelCounters(pinRejections);
    this.pinFlips = before?.pinFlips ?? new Counter();
  }

  /** Whether these are all that it counts, in this order. */
  isOf(versions: readonly string[], rules: readonly string[]): boolean {
    return isSame([...this.versions.keys()], versions) && isSame([...this.ruleHits.keys()], rules);
  }

  /**
   * Counts the version assigned; one that the release does not name as `other`. `odds`: as in `Decision`. `nowMs`: see
   * `SlidingWindow`.
   */
  decided(version: string, reason: Reason, nowMs: number, odds?: number): void {
    const decisions = this.versions.get(version) ?? this.versions.get(otherVersion);
    if (decisions === undefined) return;
    decisions.byReason.count(reason);
    const isDrawn = reason === "split" || odds !== undefined;
    (isDrawn ? decisions.drawn : decisions.placed).count(nowMs);
    if (odds !== undefined) decisions.odds.count(nowMs, odds);
  }

  ruleHit(ruleName: string): void {
    const hits = this.ruleHits.get(ruleName);
    if (hits !== undefined) hits.value++;
  }

  pinRejected(cause: PinRejection): void {
    this.pinsRejected.count(cause);
  }
}

const isSame = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((name, at) => name === other[at]);

type ReleaseArguments = [release: string, versions: readonly string[], rules: readonly string[]];

export const releaseGroup = new StatsGroup<ReleaseStats, ReleaseArguments>({
  labels: ["release"],
  make: (before, _release, versions, rules) =>
    before?.isOf(versions, rules) === true ? before : new ReleaseStats(versions, rules, before),
  metrics: [
    {
      name: "perch_decisions_total",
      help: "Decisions by the version assigned, which is not always the one that serves the request.",
      type: "counter",
      labels: ["version", "reason"],
      storage: ({ versions }) => versions,
    },
    {
      name: "perch_rule_hits_total",
      help: "Requests whose version a rule decided.",
      type: "counter",
      labels: ["rule"],
      storage: ({ ruleHits }) => ruleHits,
    },
    {
      name: "perch_pins_rejected_total",
      help: "Pins that were rejected, by cause.",
      type: "counter",
      labels: ["cause"],
      storage: ({ pinsRejected }) => pinsRejected,
    },
    {
      name: "perch_pin_flips_total",
      help: "Users assigned another version than before, by weights, rules or epoch.",
      type: "counter",
      storage: ({ pinFlips }) => pinFlips,
    },
  ],
});
