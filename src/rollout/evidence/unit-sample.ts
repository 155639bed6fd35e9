import { savedCount, savedRecord } from "./saved.ts";
import { mixUnit, UnitTable } from "./unit-table.ts";

const hashBits = 32;

/**
 * Units with marks: all of them up to `capacity`, from then on every second by hash, every fourth, and so on, however
 * many come. Which units are in it depends on nothing that happens to them, so what is true of the sample is true of all.
 */
export class UnitSample {
  readonly #capacity: number;
  #table = new UnitTable();
  /** One of `2 ** level` units is in it. */
  #level = 0;
  /** How many units in it have each mark, by the mark's bit. */
  readonly #counts = new Int32Array(8);

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** What `save` gave. */
  static restore(saved: unknown, capacity: number): UnitSample {
    const { level, table } = savedRecord(saved);
    const sample = new UnitSample(capacity);
    sample.#level = savedCount(level, hashBits);
    sample.#keep(UnitTable.restore(table));
    while (sample.#table.count > capacity && sample.#level < hashBits) sample.#halve();
    return sample;
  }

  /** Of how many units one is in it: 1, 2, 4, … */
  get oneOf(): number {
    return 2 ** this.#level;
  }

  /** How many units have this mark (a power of two up to 128): exact while `oneOf` is 1. */
  countOf(mark: number): number {
    return (this.#counts[31 - Math.clz32(mark)] ?? 0) * this.oneOf;
  }

  /** Adds marks to a unit; returns those it had before (0: none), undefined if it is not in the sample. */
  mark(hi: number, lo: number, marks: number): number | undefined {
    if (!this.#takes(hi, lo)) return undefined;
    const before = this.#table.marksOf(hi, lo);
    if ((before | marks) === before) return before;
    if (before === 0) {
      while (this.#table.count >= this.#capacity && this.#level < hashBits) this.#halve();
      if (this.#table.count >= this.#capacity || !this.#takes(hi, lo)) return undefined;
    }
    this.#table.set(hi, lo, before | marks);
    this.#count(marks & ~before);
    return before;
  }

  save(): unknown {
    return { level: this.#level, table: this.#table.save() };
  }

  /** The first bits of the hash decide: the table places by the last ones. */
  #takes(hi: number, lo: number): boolean {
    return this.#level === 0 || mixUnit(hi, lo) < 2 ** (hashBits - this.#level);
  }

  #halve(): void {
    this.#level += 1;
    this.#keep(this.#table);
  }

  #keep(table: UnitTable): void {
    this.#table = new UnitTable();
    this.#counts.fill(0);
    for (const { hi, lo, marks } of table.entries()) {
      if (!this.#takes(hi, lo)) continue;
      this.#table.set(hi, lo, marks);
      this.#count(marks);
    }
  }

  #count(marks: number): void {
    for (let bit = 0; bit < 8; bit++) {
      if ((marks & (1 << bit)) !== 0) this.#counts[bit] = (this.#counts[bit] ?? 0) + 1;
    }
  }
}
