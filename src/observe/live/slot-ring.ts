/** Some numbers for each of the newest slots of time. A slot's number is its start divided by the length of a slot. */
export class SlotRing {
  readonly #numbers: Float32Array;
  readonly #length: number;
  readonly #width: number;
  #newest: number;

  /** `width`: numbers a slot. All are zero until they are changed. */
  constructor(length: number, width: number, newest: number) {
    this.#numbers = new Float32Array(length * width);
    this.#length = length;
    this.#width = width;
    this.#newest = newest;
  }

  /**
   * Makes a slot the newest. Slots that were passed over are zero. If time was set back, so are this slot and all later
   * ones: they have not been yet.
   */
  moveTo(slot: number): void {
    if (slot === this.#newest) return;
    const [first, last] = slot > this.#newest ? [this.#newest + 1, slot] : [slot, this.#newest];
    for (let each = Math.max(first, last - this.#length + 1); each <= last; each++) {
      const start = this.#startOf(each);
      this.#numbers.fill(0, start, start + this.#width);
    }
    this.#newest = slot;
  }

  /** The numbers of the newest slot; writing changes them. */
  get newest(): Float32Array {
    return this.#at(this.#newest);
  }

  /** The numbers of the newest `count` slots, the oldest first; at most all. */
  *last(count: number = this.#length): Iterable<Float32Array> {
    const first = this.#newest - Math.min(count, this.#length) + 1;
    for (let slot = first; slot <= this.#newest; slot++) yield this.#at(slot);
  }

  #at(slot: number): Float32Array {
    const start = this.#startOf(slot);
    return this.#numbers.subarray(start, start + this.#width);
  }

  /** Slots before 1970 have negative numbers. */
  #startOf(slot: number): number {
    return (((slot % this.#length) + this.#length) % this.#length) * this.#width;
  }
}
