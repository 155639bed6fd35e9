import { abandon, arena, putBytes, putText, slotBytes, slotCount, slotStart } from "./arena.ts";

/** Bytes that a write in progress refers to. Released once, when the write has ended. */
export interface Lease {
  release(): void;
}

/** Who composes a message. */
export interface Composer {
  /** Writes what was composed. */
  flush(): void;
}

/** Views of up to this length are kept: one for each length of a slot that is in use. */
const cachedViewLength = 4096;

class Slot implements Lease {
  readonly start: number;
  readonly #free: Slot[];
  readonly #views: (Uint8Array | undefined)[] = [];

  constructor(index: number, free: Slot[]) {
    this.start = slotStart(index);
    this.#free = free;
  }

  /** The first bytes of the slot. */
  view(length: number): Uint8Array {
    if (length > cachedViewLength) return arena.subarray(this.start, this.start + length);
    while (this.#views.length <= length) this.#views.push(undefined);
    const known = this.#views[length];
    if (known !== undefined) return known;
    const view = arena.subarray(this.start, this.start + length);
    this.#views[length] = view;
    return view;
  }

  release(): void {
    abandon(arena, this.start, this.start + slotBytes);
    this.#free.push(this);
  }
}

const nothingHeld: Lease = { release() {} };

/**
 * Where messages are composed, one at a time, in the current slot. What is composed belongs to its composer until that
 * takes it; another composer that begins makes the first one flush.
 */
class Outbox {
  readonly #free: Slot[] = [];
  #slot: Slot;
  #at: number;
  #composer: Composer | undefined;

  constructor() {
    for (let index = slotCount - 1; index >= 0; index--) this.#free.push(new Slot(index, this.#free));
    this.#slot = this.#free.pop() as Slot;
    this.#at = this.#slot.start;
  }

  /** How many bytes this composer has composed. */
  lengthOf(composer: Composer): number {
    return this.#composer === composer ? this.#at - this.#slot.start : 0;
  }

  /** Makes this composer the current one, and returns how many bytes fit behind what it has composed. */
  roomFor(composer: Composer): number {
    if (this.#composer !== composer) {
      this.#composer?.flush();
      this.#composer = composer;
    }
    return this.#slot.start + slotBytes - this.#at;
  }

  // The current composer adds at most as many bytes as there is room for.

  addText(text: string): void {
    this.#at = putText(text, this.#at);
  }

  addBytes(bytes: Uint8Array, from: number, to: number): void {
    this.#at = putBytes(bytes, from, to, this.#at);
  }

  /** Adds a whole view, faster than a part of one. */
  addView(bytes: Uint8Array): void {
    arena.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** What the current composer has composed; it composes the next message behind nothing. Write it, then `lend` or `drop`. */
  take(): Uint8Array {
    const length = this.#at - this.#slot.start;
    this.#at = this.#slot.start;
    this.#composer = undefined;
    // The last free slot is never lent: the next message needs it.
    return this.#free.length > 0 ? this.#slot.view(length) : Buffer.from(this.#slot.view(length));
  }

  /** The bytes taken last are with a write in progress. */
  lend(): Lease {
    const next = this.#free.pop();
    if (next === undefined) return nothingHeld;
    const lent = this.#slot;
    this.#slot = next;
    this.#at = next.start;
    return lent;
  }

  /** The bytes taken last were written, or never will be. */
  drop(): void {
    abandon(arena, this.#slot.start, this.#slot.start + slotBytes);
  }
}

/** The thread's. */
export const outbox: Outbox = new Outbox();
