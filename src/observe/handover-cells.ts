import { type CellValues, cellsOf, setValues, valuesOf } from "./cell.ts";

/**
 * Why a connection left the fast lane: a head that it does not read, no route, a route that the standard lane serves, a
 * body whose size is to be checked on the way, or a chunked body to be copied.
 */
export const handoverCauses = ["head", "no-route", "route", "body-limit", "mirror-body"] as const;
export type HandoverCause = (typeof handoverCauses)[number];

/** Connections that the fast lane gave to the standard one. */
export class HandoverCells {
  readonly causes = cellsOf(handoverCauses);

  counts(): CellValues<HandoverCause> {
    return valuesOf(this.causes);
  }

  /** Holds these counts and no others. */
  restore(counts: CellValues<HandoverCause> | undefined): void {
    setValues(this.causes, counts);
  }

  handedOver(cause: HandoverCause): void {
    this.causes[cause].value++;
  }
}
