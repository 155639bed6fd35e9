import { type CellValues, cellsOf, setValues, valuesOf } from "./cell.ts";

/** Why a request was turned away unserved: as many as may be are under way already, or the event loop is late. */
export const shedCauses = ["in-flight", "loop-delay"] as const;
export type ShedCause = (typeof shedCauses)[number];

/** Requests that were turned away to keep Perch responsive. */
export class ShedCells {
  readonly causes = cellsOf(shedCauses);

  counts(): CellValues<ShedCause> {
    return valuesOf(this.causes);
  }

  /** Holds these counts and no others. */
  restore(counts: CellValues<ShedCause> | undefined): void {
    setValues(this.causes, counts);
  }

  shed(cause: ShedCause): void {
    this.causes[cause].value++;
  }
}
