import { type CellValues, cellsOf, setValues, valuesOf } from "./cell.ts";

export const attributeErrorCauses = ["unparsable", "repeated"] as const;
export type AttributeErrorCause = (typeof attributeErrorCauses)[number];

/** Values of one attribute that were there and could not be used. */
export class AttributeCells {
  readonly attribute: string;
  readonly errors = cellsOf(attributeErrorCauses);

  constructor(attribute: string) {
    this.attribute = attribute;
  }

  counts(): CellValues<AttributeErrorCause> {
    return valuesOf(this.errors);
  }

  /** Holds these counts and no others. */
  restore(counts: CellValues<AttributeErrorCause> | undefined): void {
    setValues(this.errors, counts);
  }

  error(cause: AttributeErrorCause): void {
    this.errors[cause].value++;
  }
}
