import { type CellValues, cellsOf, setValues, valuesOf } from "./cell.ts";

/** `empty`: the name servers say that there is nothing; `failure`: none could tell. */
export const resolutionOutcomes = ["success", "empty", "failure"] as const;
export type ResolutionOutcome = (typeof resolutionOutcomes)[number];

/** What became of asking for one name. */
export class NameCells {
  readonly name: string;
  readonly outcomes = cellsOf(resolutionOutcomes);

  constructor(name: string) {
    this.name = name;
  }

  counts(): CellValues<ResolutionOutcome> {
    return valuesOf(this.outcomes);
  }

  /** Holds these counts and no others. */
  restore(counts: CellValues<ResolutionOutcome> | undefined): void {
    setValues(this.outcomes, counts);
  }

  resolved(outcome: ResolutionOutcome): void {
    this.outcomes[outcome].value++;
  }
}
