import type { RolloutReport } from "../../observe/rollout/rollout-report.ts";

/** What a replica saw, with a number that rises by one. */
export interface NumberedReport {
  readonly number: number;
  readonly report: RolloutReport;
}

/** About 10 MB. A replica that sees 500 new users a second fills it in less than two minutes. */
const maxSize = 50_000;
/** Bounds one message, to about 1 MB of JSON. */
const maxSizeAtOnce = 5_000;

/** In sightings, by the length of their JSON. */
function sizeOf({ sightings, baselineDurations }: RolloutReport): number {
  return 4 + sightings.length + baselineDurations.length / 20;
}

/**
 * What this replica saw and the shared state does not have yet, in order. A report stays until the leader has saved it, so
 * that a leader that dies takes nothing with it but what it saw itself since. Bounded: without a leader the oldest reports
 * are dropped.
 */
export class ReportOutbox {
  /** Dropped since the start. */
  dropped = 0;
  #reports: NumberedReport[] = [];
  #size = 0;
  #last = 0;

  add(report: RolloutReport): NumberedReport {
    const numbered = { number: ++this.#last, report };
    this.#reports.push(numbered);
    this.#size += sizeOf(report);
    while (this.#size > maxSize && this.#reports.length > 1) {
      this.#shift();
      this.dropped++;
    }
    return numbered;
  }

  /** What comes after this number, as much as fits into one message. */
  after(number: number): readonly NumberedReport[] {
    const found: NumberedReport[] = [];
    let size = 0;
    for (const each of this.#reports) {
      if (each.number <= number) continue;
      size += sizeOf(each.report);
      if (found.length > 0 && size > maxSizeAtOnce) break;
      found.push(each);
    }
    return found;
  }

  /** Whether there is more than up to this number. */
  hasMoreThan(number: number): boolean {
    return this.#last > number;
  }

  /** The shared state has all up to this number. */
  saved(number: number): void {
    while ((this.#reports[0]?.number ?? Number.POSITIVE_INFINITY) <= number) this.#shift();
  }

  #shift(): void {
    const first = this.#reports.shift();
    if (first !== undefined) this.#size -= sizeOf(first.report);
  }
}
