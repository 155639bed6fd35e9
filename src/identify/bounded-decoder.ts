import { createRequire } from "node:module";

// Its own entry does not export it, and what `import` makes of a CommonJS default differs from loader to loader.
const { default: Decoder }: typeof import("mmdb-lib/lib/decoder.js", { with: { "resolution-mode": "require" }}) =
  createRequire(import.meta.url)("mmdb-lib/lib/decoder.js");

/** Values that one record may consist of: a city in eight languages has some sixty. */
const mostValues = 4_096;
const pointer = 1;
const longLength = 31;

/**
 * mmdb-lib's decoder, which believes what it reads, for files that may be broken: pointers that run in a circle or fan out
 * end after so many values, and no length beyond 64 KiB is taken for one. `begin` before each record.
 */
export class BoundedDecoder extends Decoder {
  readonly #octets: Buffer;
  #left = mostValues;

  constructor(octets: Buffer, dataStart: number) {
    super(octets, dataStart);
    this.#octets = octets;
  }

  begin(): void {
    this.#left = mostValues;
  }

  override decode(offset: number): { value: unknown; offset: number } {
    const control = this.#octets[offset] ?? 0;
    const isLong = control >> 5 !== pointer && (control & 0x1f) === longLength;
    if (--this.#left < 0 || isLong) throw new RangeError("the record is too large");
    return super.decode(offset);
  }
}
