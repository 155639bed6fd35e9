import { type CookieNames, maxOccurrences } from "./cookies.ts";

const tab = 0x09;
const space = 0x20;
const quote = 0x22;
const semicolon = 0x3b;
const equalsSign = 0x3d;

const maxFound = 64;

/**
 * One pass over the bytes of a Cookie field: where the cookies of a set of names are, and what is left without them. The
 * bytes' form of `cookieValues` and `stripCookies`, without a string. The results of one scan stay until the next.
 */
export class CookieScan {
  /** What is left, as ranges of the scanned bytes. None: nothing. */
  rangeCount = 0;
  /** Whether what was found is all that `cookieValues` returns for the names; not if that is more than 64 cookies. */
  foundAll = true;
  #ranges = new Int32Array(64);
  readonly #found = new Int32Array(maxFound * 3);
  #foundCount = 0;

  rangeStart(range: number): number {
    return this.#ranges[range * 2] as number;
  }

  rangeEnd(range: number): number {
    return this.#ranges[range * 2 + 1] as number;
  }

  /** How many cookies of the names were found, at most 64. */
  get foundCount(): number {
    return this.#foundCount;
  }

  /** The index of a found cookie's name in `names.list`. */
  nameOf(found: number): number {
    return this.#found[found * 3] as number;
  }

  valueStart(found: number): number {
    return this.#found[found * 3 + 1] as number;
  }

  valueEnd(found: number): number {
    return this.#found[found * 3 + 2] as number;
  }

  /** Scans the value of one field, from `from` to `to`, exclusive. */
  scan(names: CookieNames, bytes: Uint8Array, from: number, to: number): void {
    this.rangeCount = 0;
    this.#foundCount = 0;
    this.foundAll = true;
    let kept = from;
    for (let start = from; start <= to; ) {
      let at = start;
      while (at < to && isBlank(bytes[at] as number)) at++;
      const own = at < to && names.mayStartWith(bytes[at] as number) ? this.#own(names, bytes, at, to) : -1;
      while (at < to && bytes[at] !== semicolon) at++;
      if (own >= 0) {
        if (start > kept) this.#keep(kept, start);
        kept = at + 1;
        // If everything so far goes, so do the blanks behind the separator that went.
        if (this.rangeCount === 0) while (kept < to && isBlank(bytes[kept] as number)) kept++;
      }
      start = at + 1;
    }
    if (kept <= to) {
      if (kept < to) this.#keep(kept, to);
    } else this.#dropSeparator();
  }

  /** The index of the name of the cookie whose name starts at `at`, -1 for any other. Records its value. */
  #own(names: CookieNames, bytes: Uint8Array, at: number, to: number): number {
    let equals = at;
    while (equals < to && bytes[equals] !== equalsSign && bytes[equals] !== semicolon) equals++;
    if (equals === to || bytes[equals] === semicolon) return -1;
    let end = equals;
    while (isBlank(bytes[end - 1] as number)) end--;
    const name = names.indexOfBytes(bytes, at, end);
    if (name >= 0) this.#record(name, bytes, equals + 1, to);
    return name;
  }

  #record(name: number, bytes: Uint8Array, from: number, to: number): void {
    if (this.#count(name) === maxOccurrences) return;
    this.foundAll = this.#foundCount < maxFound;
    if (!this.foundAll) return;
    let start = from;
    while (start < to && isBlank(bytes[start] as number)) start++;
    let end = start;
    while (end < to && bytes[end] !== semicolon) end++;
    while (end > start && isBlank(bytes[end - 1] as number)) end--;
    if (end - start >= 2 && bytes[start] === quote && bytes[end - 1] === quote) {
      start++;
      end--;
    }
    const place = this.#foundCount++ * 3;
    this.#found[place] = name;
    this.#found[place + 1] = start;
    this.#found[place + 2] = end;
  }

  #count(name: number): number {
    let count = 0;
    for (let found = 0; found < this.#foundCount; found++) if (this.nameOf(found) === name) count++;
    return count;
  }

  #keep(from: number, to: number): void {
    if (this.rangeCount * 2 === this.#ranges.length) {
      const larger = new Int32Array(this.#ranges.length * 2);
      larger.set(this.#ranges);
      this.#ranges = larger;
    }
    this.#ranges[this.rangeCount * 2] = from;
    this.#ranges[this.rangeCount * 2 + 1] = to;
    this.rangeCount++;
  }

  /** The last cookie went: what is left ends in a needless separator. */
  #dropSeparator(): void {
    if (this.rangeCount === 0) return;
    const last = this.rangeCount * 2 - 1;
    this.#ranges[last] = (this.#ranges[last] as number) - 1;
    if (this.#ranges[last] === this.#ranges[last - 1]) this.rangeCount--;
  }
}

function isBlank(code: number): boolean {
  return code === space || code === tab;
}
