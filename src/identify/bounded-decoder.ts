import { createRequire } from "node:module";

// In a separate file: the published types of the library must not reach the declarations that its base class has.

// The package's entry does not export the decoder, and loaders differ in how they import a CommonJS default.
const { default: Decoder }: typeof import("mmdb-lib/lib/decoder.js", { with: { "resolution-mode": "require" }}) =
  createRequire(import.meta.url)("mmdb-lib/lib/decoder.js");

/** Maximum number of values in a record: a city in eight languages has about sixty. */
const maxValues = 4_096;
const pointer = 1;
const longLength = 31;

/**
 * Bounds mmdb-lib's decoder, which trusts the file: circular or fanned-out pointers end after `maxValues` values, and
 * lengths over 64 KiB are rejected. Call `begin` before each record.
 */
export class BoundedDecoder extends Decoder {
  readonly #bytes: Buffer;
  #left = maxValues;

  constructor(bytes: Buffer, dataStart: number) {
    super(bytes, dataStart);
    this.#bytes = bytes;
  }

  begin(): void {
    this.#left = maxValues;
  }

  override decode(offset: number): { value: unknown; offset: number } {
    const control = this.#bytes[offset] ?? 0;
    const isLong = control >> 5 !== pointer && (control & 0x1f) === longLength;
    if (--this.#left < 0 || isLong) throw new RangeError("the record is too large");
    return super.decode(offset);
  }
}
