import { ForeignShape, readBytes, savedBytes, savedRecord } from "./saved.ts";

const smallestSize = 64;

/** Two independent 32-bit hashes of a unit. Units of attributes are digests already; those that a caller names are not. */
export function mixUnit(hi: number, lo: number): number {
  return mix(Math.imul(mix(lo ^ 0x9e3779b9), 0x85ebca6b) ^ hi);
}

export function remixUnit(hi: number, lo: number): number {
  return mix(Math.imul(mix(hi ^ 0x7f4a7c15), 0xc2b2ae35) ^ lo);
}

/** MurmurHash3's finalizer: every bit of the word decides on every bit of the result. */
function mix(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Units with a byte of marks each, in flat arrays: nine bytes a place, of which at most half are taken. Open addressing;
 * units that were chosen to collide make it slower, up to a walk through all of them.
 */
export class UnitTable {
  #size = smallestSize;
  #hi = new Int32Array(smallestSize);
  #lo = new Int32Array(smallestSize);
  /** Zero: the place is free. */
  #marks = new Uint8Array(smallestSize);
  #count = 0;

  /** What `save` gave. */
  static restore(saved: unknown): UnitTable {
    const { units, marks } = savedRecord(saved);
    const words = readBytes(units);
    const bytes = readBytes(marks);
    if (words.length !== 8 * bytes.length || bytes.includes(0)) throw new ForeignShape("not units");
    const view = new DataView(words.buffer);
    const table = new UnitTable();
    for (const [at, mark] of bytes.entries()) {
      table.set(view.getInt32(8 * at, true), view.getInt32(8 * at + 4, true), mark);
    }
    if (table.count !== bytes.length) throw new ForeignShape("a unit twice");
    return table;
  }

  get count(): number {
    return this.#count;
  }

  /** The unit's marks; 0 if it is not here. */
  marksOf(hi: number, lo: number): number {
    return this.#marks[this.#placeOf(hi, lo)] ?? 0;
  }

  /** Replaces the unit's marks, which must not be 0. */
  set(hi: number, lo: number, marks: number): void {
    let place = this.#placeOf(hi, lo);
    if (this.#marks[place] === 0) {
      if (2 * (this.#count + 1) > this.#size) {
        this.#grow();
        place = this.#placeOf(hi, lo);
      }
      this.#count += 1;
      this.#hi[place] = hi;
      this.#lo[place] = lo;
    }
    this.#marks[place] = marks;
  }

  *entries(): Iterable<{ readonly hi: number; readonly lo: number; readonly marks: number }> {
    for (const [place, marks] of this.#marks.entries()) {
      if (marks !== 0) yield { hi: this.#hi[place] ?? 0, lo: this.#lo[place] ?? 0, marks };
    }
  }

  /** Nine bytes a unit, as base64. */
  save(): unknown {
    const words = new Uint8Array(8 * this.#count);
    const bytes = new Uint8Array(this.#count);
    const view = new DataView(words.buffer);
    let at = 0;
    for (const { hi, lo, marks } of this.entries()) {
      view.setInt32(8 * at, hi, true);
      view.setInt32(8 * at + 4, lo, true);
      bytes[at] = marks;
      at += 1;
    }
    return { units: savedBytes(words), marks: savedBytes(bytes) };
  }

  /** Where the unit is, or where it would be. */
  #placeOf(hi: number, lo: number): number {
    const mask = this.#size - 1;
    let place = mixUnit(hi, lo) & mask;
    while (this.#marks[place] !== 0 && (this.#hi[place] !== (hi | 0) || this.#lo[place] !== (lo | 0))) {
      place = (place + 1) & mask;
    }
    return place;
  }

  #grow(): void {
    const old = [...this.entries()];
    this.#size *= 2;
    this.#hi = new Int32Array(this.#size);
    this.#lo = new Int32Array(this.#size);
    this.#marks = new Uint8Array(this.#size);
    this.#count = 0;
    for (const { hi, lo, marks } of old) this.set(hi, lo, marks);
  }
}
