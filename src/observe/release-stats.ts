import { type Counter, type CounterValues, countersOf, counterValues, setCounters } from "./counters.ts";
import { SlidingWindow } from "./sliding-window.ts";

export const reasons = ["override", "propagated", "rule", "pin", "split", "default"] as const;
export type Reason = (typeof reasons)[number];

/** Stands for versions that callers assigned and the release does not name, so that no caller makes series. */
export const otherVersion = "other";

export const pinRejections = ["forged", "expired", "oversized", "malformed"] as const;
export type PinRejection = (typeof pinRejections)[number];

/** What the stats of one release counted, as plain data. */
export type ReleaseCounts = {
  readonly versions: ReadonlyMap<string, DecisionCounts>;
  readonly ruleHits: ReadonlyMap<string, number>;
  readonly pinsRejected: CounterValues<PinRejection>;
  readonly pinFlips: number;
};

type DecisionCounts = { readonly byReason: CounterValues<Reason>; readonly window: ReadonlyMap<number, number> };

/** Decisions that assigned one version. */
export class DecisionCounters {
  readonly byReason = countersOf(reasons);
  readonly window = new SlidingWindow();
}

/** What a release decided. Built from the release's stats of the snapshot before, it keeps those that still apply. */
export class ReleaseStats {
  readonly release: string;
  readonly versions: ReadonlyMap<string, DecisionCounters>;
  readonly ruleHits: ReadonlyMap<string, Counter>;
  readonly pinsRejected: Readonly<Record<PinRejection, Counter>>;
  /** Users served another version than before. */
  readonly pinFlips: Counter;

  constructor(release: string, versions: readonly string[], rules: readonly string[], before?: ReleaseStats) {
    this.release = release;
    this.versions = new Map(versions.map((name) => [name, before?.versions.get(name) ?? new DecisionCounters()]));
    this.ruleHits = new Map(rules.map((name) => [name, before?.ruleHits.get(name) ?? { value: 0 }]));
    this.pinsRejected = before?.pinsRejected ?? countersOf(pinRejections);
    this.pinFlips = before?.pinFlips ?? { value: 0 };
  }

  counts(): ReleaseCounts {
    const versions = Array.from(this.versions, ([name, { byReason, window }]): [string, DecisionCounts] => [
      name,
      { byReason: counterValues(byReason), window: window.counts() },
    ]);
    return {
      versions: new Map(versions),
      ruleHits: new Map(Array.from(this.ruleHits, ([rule, { value }]) => [rule, value])),
      pinsRejected: counterValues(this.pinsRejected),
      pinFlips: this.pinFlips.value,
    };
  }

  /** Holds these counts and no others, as far as the release has such versions and rules. */
  restore(counts: ReleaseCounts | undefined): void {
    for (const [name, { byReason, window }] of this.versions) {
      setCounters(byReason, counts?.versions.get(name)?.byReason);
      window.restore(counts?.versions.get(name)?.window);
    }
    for (const [rule, hits] of this.ruleHits) hits.value = counts?.ruleHits.get(rule) ?? 0;
    setCounters(this.pinsRejected, counts?.pinsRejected);
    this.pinFlips.value = counts?.pinFlips ?? 0;
  }

  /** Counts the version assigned; one that the release does not name as `other`. `nowMs`: see `SlidingWindow`. */
  decided(version: string, reason: Reason, nowMs: number): void {
    const decisions = this.versions.get(version) ?? this.versions.get(otherVersion);
    if (decisions === undefined) return;
    decisions.byReason[reason].value++;
    decisions.window.count(nowMs);
  }

  ruleHit(ruleName: string): void {
    const hits = this.ruleHits.get(ruleName);
    if (hits !== undefined) hits.value++;
  }

  pinRejected(cause: PinRejection): void {
    this.pinsRejected[cause].value++;
  }
}
