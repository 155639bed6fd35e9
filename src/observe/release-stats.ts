import type { ReleaseSpec } from "../decide/release-spec.ts";
import { type Counter, type CounterValues, countersOf, counterValues, setCounters } from "./counters.ts";

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

export interface WeightRatio {
  readonly release: string;
  readonly version: string;
  /** The share that the split gives the version, 0 to 1. */
  readonly ratio: number;
}

type SplitRelease = Pick<ReleaseSpec, "name" | "versions" | "split">;

/** What the splits of these releases say of each of their versions. A release without a split says nothing. */
export function* weightRatios(releases: Iterable<SplitRelease>): Iterable<WeightRatio> {
  for (const { name: release, versions, split } of releases) {
    if (split === undefined) continue;
    const sum = Object.values(split).reduce((total, weight) => total + weight, 0);
    // Own weights only: `constructor` is a name that a version may have.
    const weights = new Map(Object.entries(split));
    for (const version of versions) yield { release, version, ratio: (weights.get(version) ?? 0) / sum };
  }
}

/** The window moves in steps of this length, so a total reaches back between `span - slotMs` and `span`. */
export const slotMs = 10_000;
const slotCount = 30;

/** Of what several windows counted, the slots that one window could hold. */
export function recentSlots(counts: ReadonlyMap<number, number>): ReadonlyMap<number, number> {
  const newest = Math.max(...counts.keys());
  return new Map(Array.from(counts).filter(([slot]) => slot > newest - slotCount));
}

/**
 * Counts events of the last minutes in a ring of slots. Time comes only from the arguments, so there is no timer to
 * stop and nothing to do while nothing happens; a slot is emptied when its place in the ring is needed again.
 */
export class SlidingWindow {
  readonly #counts = new Float64Array(slotCount);
  /** Which slot of all time each place holds; the counts of any other slot are stale. */
  readonly #slots = new Float64Array(slotCount).fill(-1);

  /** `nowMs` is any clock in milliseconds from 0 up; where it is set back, what was counted after that is forgotten. */
  count(nowMs: number): void {
    const slot = Math.floor(nowMs / slotMs);
    const place = slot % slotCount;
    if (slot !== this.#slots[place]) {
      this.#slots[place] = slot;
      this.#counts[place] = 0;
    }
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
  }

  /** What was counted, by slot of all time. */
  counts(): ReadonlyMap<number, number> {
    const counts = new Map<number, number>();
    for (const [place, slot] of this.#slots.entries()) if (slot >= 0) counts.set(slot, this.#counts[place] ?? 0);
    return counts;
  }

  /** Holds these counts and no others; of two slots in one place of the ring, the later. */
  restore(counts: ReadonlyMap<number, number> | undefined): void {
    this.#slots.fill(-1);
    for (const [slot, count] of counts ?? []) {
      const place = slot % slotCount;
      if (slot < (this.#slots[place] ?? -1)) continue;
      this.#slots[place] = slot;
      this.#counts[place] = count;
    }
  }

  /** Events of the last `spanMs`, at most five minutes; both are read in whole slots, the current one included. */
  total(spanMs: number, nowMs: number): number {
    const newest = Math.floor(nowMs / slotMs);
    const oldest = newest - Math.min(slotCount, Math.ceil(spanMs / slotMs)) + 1;
    let total = 0;
    for (let place = 0; place < slotCount; place++) {
      const slot = this.#slots[place] ?? -1;
      if (slot >= oldest && slot <= newest) total += this.#counts[place] ?? 0;
    }
    return total;
  }
}
