import type { RolloutReport } from "../../observe/rollout/rollout-report.ts";

/** What a replica saw, with a number that rises by one. */
export interface NumberedReport {
  readonly number: number;
  readonly report: RolloutReport;
}

/** About 10 MB. A replica that sees 500 new users a second fills it in less than two minutes. */
const maxSightings = 50_000;
const maxReports = 10_000;
/** Bounds one message. */
const maxSightingsAtOnce = 5_000;

/**
 * What this replica saw and the shared state does not have yet, in order. A report stays until the leader has saved it, so
 * that a leader that dies takes nothing with it but what it saw itself since. Bounded: without a leader the oldest reports
 * are dropped.
 */
export class ReportOutbox {
  /** Dropped since the start. */
  dropped = 0;
  #reports: NumberedReport[] = [];
  #sightings = 0;
  #last = 0;

  add(report: RolloutReport): NumberedReport {
    const numbered = { number: ++this.#last, report };
    this.#reports.push(numbered);
    this.#sightings += report.sightings.length;
    while (this.#reports.length > maxReports || this.#sightings > maxSightings) {
      this.#shift();
      this.dropped++;
    }
    return numbered;
  }

  /** What comes after this number, as much as fits into one message. */
  after(number: number): readonly NumberedReport[] {
    const found: NumberedReport[] = [];
    let sightings = 0;
    for (const each of this.#reports) {
      if (each.number <= number) continue;
      sightings += each.report.sightings.length;
      if (found.length > 0 && sightings > maxSightingsAtOnce) break;
      found.push(each);
    }
    return found;
  }

  /** The shared state has all up to this number. */
  saved(number: number): void {
    while ((this.#reports[0]?.number ?? Number.POSITIVE_INFINITY) <= number) this.#shift();
  }

  #shift(): void {
    this.#sightings -= this.#reports.shift()?.report.sightings.length ?? 0;
  }
}
