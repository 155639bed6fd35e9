/** A plain number that the hot path counts in and the exporter reads. */
export interface Cell {
  value: number;
}

/** One cell for each of a closed list of label values, all there from the start, so that alerts find them at 0. */
export const cellsOf = <K extends string>(keys: readonly K[]): Readonly<Record<K, Cell>> =>
  Object.fromEntries(keys.map((key) => [key, { value: 0 }])) as Record<K, Cell>;

/** The value of a label whose text was not one of those we know. */
export const other = "other";
