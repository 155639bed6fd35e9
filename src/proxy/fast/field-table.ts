import type { FieldScan } from "./field-scan.ts";
import { latin1, lowerCase } from "./octets.ts";

const slots = 1024;
/** Bounds what strangers can make a table hold; below half of the slots, so that a search soon meets an empty one. */
const mostNames = 400;

interface Entry<Kind> {
  /** In lower case. */
  readonly name: Uint8Array;
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

  /** The kind of a field that the scan found in the head that starts at `origin`. */
  kind(scan: FieldScan, field: number, octets: Buffer, origin: number): Kind {
    const start = origin + scan.start(field);
    const end = origin + scan.nameEnd(field);
    const hash = scan.nameHash(field);
    for (let slot = hash & (slots - 1); ; slot = (slot + 1) & (slots - 1)) {
      const entry = this.#entries[slot];
      if (entry === undefined) return this.#learn(slot, hash, latin1(octets, start, end));
      if (entry.hash === hash && isSame(octets, start, end, entry.name)) return entry.kind;
    }
  }

  #learn(slot: number, hash: number, name: string): Kind {
    const own = name.toLowerCase();
    const kind = this.#kindOf(own);
    if (this.#count < mostNames) {
      this.#count++;
      this.#entries[slot] = { name: Buffer.from(own, "latin1"), hash, kind };
    }
    return kind;
  }
}

function isSame(octets: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  const { length } = name;
  if (end - start !== length) return false;
  for (let at = 0; at < length; at++) {
    if (lowerCase[octets[start + at] as number] !== name[at]) return false;
  }
  return true;
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
