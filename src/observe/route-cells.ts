import { type Cell, type CellValues, cellsOf, setValues, valuesOf } from "./cell.ts";

export const faultKinds = ["delay", "abort"] as const;
export type FaultKind = (typeof faultKinds)[number];

/** What the cells of one route counted, as plain data. */
export type RouteCounts = { readonly rateLimited: number; readonly faults: CellValues<FaultKind> };

/** What a route itself did to requests; made for those that have a limit or faults. */
export class RouteCells {
  readonly route: string;
  readonly rateLimited: Cell = { value: 0 };
  readonly faults = cellsOf(faultKinds);
  /** Which of them the route has, and so are exported. */
  readonly has: { readonly rateLimit: boolean; readonly fault: boolean };

  constructor(route: string, has: RouteCells["has"], before?: RouteCells) {
    this.route = route;
    this.has = has;
    if (before === undefined) return;
    this.rateLimited = before.rateLimited;
    this.faults = before.faults;
  }

  counts(): RouteCounts {
    return { rateLimited: this.rateLimited.value, faults: valuesOf(this.faults) };
  }

  /** Holds these counts and no others. */
  restore(counts: RouteCounts | undefined): void {
    this.rateLimited.value = counts?.rateLimited ?? 0;
    setValues(this.faults, counts?.faults);
  }
}
