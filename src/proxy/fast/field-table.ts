import { extendNameHash, type FieldScan } from "./field-scan.ts";

const slots = 1024;
/** Bounds what strangers can make a table hold; below half of the slots, so that a search soon meets an empty one. */
const mostNames = 400;

interface Entry<Kind> {
  /** Lower case, and a copy of its own: a slice would keep a whole head alive. */
  readonly name: string;
  readonly hash: number;
  readonly kind: Kind;
}

/**
 * Sorts field names into kinds, by the hash that the scan made on its way: neither a string is cut nor one hashed
 * for a name seen before. What a name is, is asked once and remembered, for a bounded number of names.
 */
export class FieldTable<Kind extends string> {
  readonly #kindOf: (lowerCaseName: string) => Kind;
  readonly #entries: (Entry<Kind> | undefined)[] = new Array(slots).fill(undefined);
  #count = 0;

  constructor(kindOf: (lowerCaseName: string) => Kind) {
    this.#kindOf = kindOf;
  }

  /** The kind of a field that the scan found in this text. */
  kind(scan: FieldScan, field: number, text: string): Kind {
    const start = scan.start(field);
    const end = scan.nameEnd(field);
    const hash = scan.nameHash(field);
    for (let slot = hash & (slots - 1); ; slot = (slot + 1) & (slots - 1)) {
      const entry = this.#entries[slot];
      if (entry === undefined) return this.#learn(slot, hash, text.slice(start, end));
      if (entry.hash === hash && isNamed(text, start, end, entry.name)) return entry.kind;
    }
  }

  #learn(slot: number, hash: number, name: string): Kind {
    const own = Buffer.from(name, "latin1").toString("latin1").toLowerCase();
    const kind = this.#kindOf(own);
    if (this.#count < mostNames) {
      this.#count++;
      this.#entries[slot] = { name: own, hash, kind };
    }
    return kind;
  }
}

export function nameHash(lowerCaseName: string): number {
  let hash = 0;
  for (let at = 0; at < lowerCaseName.length; at++) hash = extendNameHash(hash, lowerCaseName.charCodeAt(at));
  return hash;
}

/** Whether the text holds this lower-case name there, in whatever case. */
export function isNamed(text: string, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false;
  for (let at = 0; at < name.length; at++) {
    let code = text.charCodeAt(start + at);
    if (code >= 0x41 && code <= 0x5a) code |= 0x20;
    if (code !== name.charCodeAt(at)) return false;
  }
  return true;
}
