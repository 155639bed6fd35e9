import { type Cell, cellsOf } from "./cell.ts";
import { SlidingWindow } from "./sliding-window.ts";

export const reasons = ["override", "propagated", "rule", "pin", "split", "default"] as const;
export type Reason = (typeof reasons)[number];

export const pinRejections = ["forged", "expired", "oversized", "malformed"] as const;
export type PinRejection = (typeof pinRejections)[number];

/** Decisions that assigned one version. */
export class DecisionCells {
  readonly byReason = cellsOf(reasons);
  readonly window = new SlidingWindow();
}

/** What a release decided. Built from the release's cells of the snapshot before, it keeps those that still apply. */
export class ReleaseCells {
  readonly release: string;
  readonly versions: ReadonlyMap<string, DecisionCells>;
  readonly ruleHits: ReadonlyMap<string, Cell>;
  readonly pinsRejected: Readonly<Record<PinRejection, Cell>>;
  /** Users served another version than before. */
  readonly pinFlips: Cell;

  constructor(release: string, versions: readonly string[], rules: readonly string[], before?: ReleaseCells) {
    this.release = release;
    this.versions = new Map(versions.map((name) => [name, before?.versions.get(name) ?? new DecisionCells()]));
    this.ruleHits = new Map(rules.map((name) => [name, before?.ruleHits.get(name) ?? { value: 0 }]));
    this.pinsRejected = before?.pinsRejected ?? cellsOf(pinRejections);
    this.pinFlips = before?.pinFlips ?? { value: 0 };
  }

  /** Counts the version assigned; one that the release does not name is not counted. `nowMs`: see `SlidingWindow`. */
  decided(version: string, reason: Reason, nowMs: number): void {
    const decisions = this.versions.get(version);
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
