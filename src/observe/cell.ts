/** A plain number that the hot path counts in and the exporter reads. */
export interface Cell {
  value: number;
}

/** One cell for each of a closed list of label values, all there from the start, so that alerts find them at 0. */
export const cellsOf = <K extends string>(keys: readonly K[]): Readonly<Record<K, Cell>> =>
  Object.fromEntries(keys.map((key) => [key, { value: 0 }])) as Record<K, Cell>;

/** What a closed list of cells counted, as plain data. */
export type CellValues<K extends string = string> = Readonly<Record<K, number>>;

export const valuesOf = <K extends string>(cells: Readonly<Record<K, Cell>>): CellValues<K> =>
  Object.fromEntries(Object.entries<Cell>(cells).map(([key, { value }]) => [key, value])) as CellValues<K>;

/** Sets every cell; without values, to 0. */
export function setValues<K extends string>(cells: Readonly<Record<K, Cell>>, values: CellValues<K> | undefined): void {
  for (const [key, cell] of Object.entries<Cell>(cells)) cell.value = values?.[key as K] ?? 0;
}

/** The value of a label whose text was not one of those we know. */
export const other = "other";
