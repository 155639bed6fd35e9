import { type Cell, type CellValues, setValues, valuesOf } from "./cell.ts";

/** Values of one attribute that were there and could not be used, by why. */
export class AttributeCells {
  readonly attribute: string;
  readonly errors: Readonly<Record<string, Cell>>;

  /** `causes`: all that its sources can have. Built from those before it, it goes on with their counts. */
  constructor(attribute: string, causes: readonly string[], before?: AttributeCells) {
    this.attribute = attribute;
    this.errors = Object.fromEntries(causes.map((cause) => [cause, before?.errors[cause] ?? { value: 0 }]));
  }

  counts(): CellValues {
    return valuesOf(this.errors);
  }

  /** Holds these counts and no others. */
  restore(counts: CellValues | undefined): void {
    setValues(this.errors, counts);
  }

  error(cause: string): void {
    const cell = this.errors[cause];
    if (cell !== undefined) cell.value++;
  }
}
