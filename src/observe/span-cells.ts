import { type CellValues, cellsOf, setValues, valuesOf } from "./cell.ts";

/**
 * What became of spans: taken by the collector, refused by it, given up after several attempts, or dropped since too many
 * waited already.
 */
export const spanOutcomes = ["exported", "rejected", "undelivered", "overflow"] as const;
export type SpanOutcome = (typeof spanOutcomes)[number];

/** Spans of requests that were recorded. */
export class SpanCells {
  readonly outcomes = cellsOf(spanOutcomes);

  counts(): CellValues<SpanOutcome> {
    return valuesOf(this.outcomes);
  }

  /** Holds these counts and no others. */
  restore(counts: CellValues<SpanOutcome> | undefined): void {
    setValues(this.outcomes, counts);
  }

  count(outcome: SpanOutcome, spans: number): void {
    this.outcomes[outcome].value += spans;
  }
}
