import type { RolloutReport } from "../../observe/rollout/rollout-report.ts";

/** What a replica saw, with a number that rises by one. */
export interface NumberedReport {
  readonly number: number;
  readonly report: RolloutReport;
}

/**
 * A report counts as many units as it has sightings, of about 150 bytes each, and as many for the rest. A replica that sees
 * 500 new users a second fills the 9 MB in two minutes.
 */
const maxUnits = 60_000;
/** Bounds one message, far below what the leader's admin server takes. */
const maxUnitsAtOnce = 5_000;
const unitsOfEach = 3;
const durationsOfUnit = 20;

/**
 * What this replica saw and the shared state does not have yet, in order. A report stays until the leader has saved it, so
 * that a leader that dies takes nothing with it but what it saw itself since. Bounded: without a leader the oldest reports
 * are dropped.
 */
export class ReportOutbox {
  /** Dropped since the start. */
  dropped = 0;
  #reports: NumberedReport[] = [];
  #units = 0;
  #last = 0;

  add(report: RolloutReport): NumberedReport {
    const numbered = { number: ++this.#last, report };
    this.#reports.push(numbered);
    this.#units += unitsOf(report);
    while (this.#units > maxUnits) {
      this.#shift();
      this.dropped++;
    }
    return numbered;
  }

  /** What comes after this number, as much as fits into one message. */
  after(number: number): readonly NumberedReport[] {
    const found: NumberedReport[] = [];
    let units = 0;
    for (const each of this.#reports) {
      if (each.number <= number) continue;
      units += unitsOf(each.report);
      if (found.length > 0 && units > maxUnitsAtOnce) break;
      found.push(each);
    }
    return found;
  }

  /** Whether there is more than up to this number: what is saved or dropped is not there any more. */
  hasMoreThan(number: number): boolean {
    return (this.#reports.at(-1)?.number ?? 0) > number;
  }

  /** The shared state has all up to this number. */
  saved(number: number): void {
    while ((this.#reports[0]?.number ?? Number.POSITIVE_INFINITY) <= number) this.#shift();
  }

  #shift(): void {
    const first = this.#reports.shift();
    if (first !== undefined) this.#units -= unitsOf(first.report);
  }
}

function unitsOf({ sightings, baselineDurations }: RolloutReport): number {
  return unitsOfEach + sightings.length + Math.ceil(baselineDurations.length / durationsOfUnit);
}
