import { type CellValues, cellsOf, setValues, valuesOf } from "./cell.ts";

const fetchResults = ["success", "failure"] as const;
export type FetchResult = (typeof fetchResults)[number];

/** How fetching published keys went. */
export class JwksCells {
  readonly fetches = cellsOf(fetchResults);

  counts(): CellValues<FetchResult> {
    return valuesOf(this.fetches);
  }

  /** Holds these counts and no others. */
  restore(counts: CellValues<FetchResult> | undefined): void {
    setValues(this.fetches, counts);
  }

  fetched(result: FetchResult): void {
    this.fetches[result].value++;
  }
}
