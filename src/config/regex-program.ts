import type { RE2JS } from "re2js";

/** Assertions on a position, as bits of `Program.arg`. The values are those of re2js. */
export const beginLine = 1;
export const endLine = 2;
export const beginText = 4;
export const endText = 8;
export const wordBoundary = 16;
export const noWordBoundary = 32;

/** What a position's assertions ask about a neighbouring character; `outside` is the text's begin or end. */
export const Neighbour = { other: 0, newline: 1, word: 2, outside: 3 } as const;

export const Op = { fail: 0, split: 1, assert: 2, character: 3, match: 4 } as const;

/** A regular expression as a nondeterministic automaton over classes of characters. Groups are left out. */
export interface Program {
  readonly start: number;
  /** By instruction: one of `Op`. */
  readonly op: Uint8Array;
  /** By instruction: the next one. */
  readonly out: Uint16Array;
  /** By instruction. Split: the other next one; assert: the assertions' bits; character: the row of `accepts`. */
  readonly arg: Uint16Array;
  readonly classes: CharacterClasses;
  /** Rows of one byte per class: whether a character instruction accepts it. */
  readonly accepts: Uint8Array;
}

/** Classes as plain data, which may be sent to another thread. Interval i begins at `starts[i]`, the first at 0. */
export interface ClassIntervals {
  readonly starts: Int32Array;
  /** By interval: its class. */
  readonly classes: Uint16Array;
  /** By class: a value of `Neighbour`. */
  readonly neighbour: Uint8Array;
}

/** Characters that no instruction of a program tells apart are of one class. */
export class CharacterClasses {
  readonly count: number;
  /** By class: a value of `Neighbour`. */
  readonly neighbour: Uint8Array;
  readonly latin1: Uint16Array;
  /** Of 256 code points each, of the basic multilingual plane; made when the first text has one of them. */
  readonly #pages: (Uint16Array | undefined)[] = [];
  /** By class: the page that all pages of this class alone share. */
  readonly #uniform: (Uint16Array | undefined)[] = [];
  readonly #starts: Int32Array;
  readonly #classes: Uint16Array;

  constructor({ starts, classes, neighbour }: ClassIntervals) {
    this.count = neighbour.length;
    this.neighbour = neighbour;
    this.#starts = starts;
    this.#classes = classes;
    this.latin1 = this.#pageOf(0);
  }

  /** What it is made of. */
  get intervals(): ClassIntervals {
    return { starts: this.#starts, classes: this.#classes, neighbour: this.neighbour };
  }

  /** The class of a code point. */
  of(code: number): number {
    if (code > 0xffff) return this.#classes[intervalOf(this.#starts, code)] as number;
    const page = this.#pages[code >>> 8] ?? this.#pageOf(code >>> 8);
    return page[code & 0xff] as number;
  }

  #pageOf(number: number): Uint16Array {
    const from = number << 8;
    const at = intervalOf(this.#starts, from);
    const only = this.#classes[at] as number;
    const isUniform = intervalOf(this.#starts, from + 0xff) === at;
    const known = isUniform ? this.#uniform[only] : undefined;
    const make = (_: unknown, offset: number) => this.#classes[intervalOf(this.#starts, from + offset)] as number;
    const page = known ?? Uint16Array.from({ length: 256 }, make);
    if (isUniform) this.#uniform[only] = page;
    this.#pages[number] = page;
    return page;
  }
}

/** The last interval that begins at or before this code point. */
function intervalOf(starts: Int32Array, code: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] as number) <= code) low = middle;
    else high = middle;
  }
  return low;
}

/** The instructions of re2js that have an equivalent here. */
const Re2Op = { alt: 1, altMatch: 2, capture: 3, empty: 4, fail: 5, match: 6, nop: 7, rune: 8, rune1: 9, any: 10 };
const anyButNewline = 11;

interface Re2Instruction {
  readonly op: number;
  readonly out: number;
  readonly arg: number;
  readonly runes: ArrayLike<number>;
  matchRune(rune: number): boolean;
}

/** The most instructions that the automaton's 16-bit numbers can hold; a caller's limit is lower. */
const maxInstructions = 0xffff;

/** Undefined if re2js compiled the pattern to something that has no equivalent here. */
export function programOf(compiled: RE2JS): Program | undefined {
  const { inst, start } = compiled.re2().prog as { readonly inst: readonly Re2Instruction[]; readonly start: number };
  if (inst.length > maxInstructions) return undefined;
  const op = new Uint8Array(inst.length);
  const out = new Uint16Array(inst.length);
  const arg = new Uint16Array(inst.length);
  const sets = new CharacterSets();
  let asked = 0;
  for (const [pc, one] of inst.entries()) {
    const kind = kindOf(one.op);
    if (kind === undefined) return undefined;
    op[pc] = kind;
    out[pc] = skipped(inst, one.out);
    if (kind === Op.split) arg[pc] = isSplit(one.op) ? skipped(inst, one.arg) : skipped(inst, one.out);
    if (kind === Op.assert) {
      arg[pc] = one.arg;
      asked |= one.arg;
    }
    if (kind === Op.character) arg[pc] = sets.rowOf(one);
  }
  return { start: skipped(inst, start), op, out, arg, ...sets.classify(asked) };
}

const isSplit = (op: number): boolean => op === Re2Op.alt || op === Re2Op.altMatch;

function kindOf(op: number): number | undefined {
  switch (op) {
    case Re2Op.alt:
    case Re2Op.altMatch:
    case Re2Op.capture:
    case Re2Op.nop:
      return Op.split;
    case Re2Op.empty:
      return Op.assert;
    case Re2Op.fail:
      return Op.fail;
    case Re2Op.match:
      return Op.match;
    case Re2Op.rune:
    case Re2Op.rune1:
    case Re2Op.any:
    case anyButNewline:
      return Op.character;
    default:
      return undefined;
  }
}

/** The first instruction from here on that is more than a step. */
function skipped(inst: readonly Re2Instruction[], pc: number): number {
  let at = pc;
  for (let one = inst[at]; one?.op === Re2Op.capture || one?.op === Re2Op.nop; one = inst[at]) at = one.out;
  return at;
}

type Ranges = readonly (readonly [low: number, high: number])[];

const newline = 0x0a;
const lastCodePoint = 0x10ffff;
/** The last code point with another case, of all versions of Unicode so far. */
const lastCased = 0x1e943;
const foldCase = 1;

function rangesOf(one: Re2Instruction): Ranges {
  const { runes } = one;
  if (one.op === Re2Op.any) return [[0, lastCodePoint]];
  if (one.op === anyButNewline) {
    return [
      [0, newline - 1],
      [newline + 1, lastCodePoint],
    ];
  }
  const [first = -1] = Array.from(runes);
  if (runes.length === 1) return (one.arg & foldCase) === 0 ? [[first, first]] : casesOf(one, first);
  return Array.from({ length: runes.length / 2 }, (_, at) => [runes[2 * at] ?? 0, runes[2 * at + 1] ?? 0] as const);
}

/** The code points that differ from this one by case only. */
function casesOf(one: Re2Instruction, rune: number): Ranges {
  const others = rune < 0x80 ? asciiCases(rune) : [rune, ...namesakesOf(rune)];
  return [...new Set(others)].filter((code) => one.matchRune(code)).map((code) => [code, code]);
}

/** The code points with the same upper or lower case as this one, which are more than those that differ by case only. */
function namesakesOf(rune: number): number[] {
  if (namesakes.size === 0) indexCases();
  const letter = String.fromCodePoint(rune);
  return [letter.toUpperCase(), letter.toLowerCase()].flatMap((text) => namesakes.get(text) ?? []);
}

/** By upper and lower case. Made once, in some 20 ms: a search for each letter would take that for each. */
const namesakes = new Map<string, number[]>();

function indexCases(): void {
  for (let code = 0x80; code <= lastCased; code++) {
    if (code === 0xd800) code = 0xe000;
    const letter = String.fromCodePoint(code);
    const upper = letter.toUpperCase();
    const lower = letter.toLowerCase();
    if (upper === lower) continue;
    for (const text of [upper, lower]) {
      const known = namesakes.get(text);
      if (known === undefined) namesakes.set(text, [code]);
      else known.push(code);
    }
  }
}

/** Of the letters beyond ASCII only the long s and the Kelvin sign have cases in ASCII. */
function asciiCases(rune: number): number[] {
  const letter = String.fromCharCode(rune);
  return [...new Set([letter.toUpperCase().charCodeAt(0), letter.toLowerCase().charCodeAt(0), rune, 0x17f, 0x212a])];
}

const wordRanges: Ranges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];

/** The distinct sets of characters of a program's instructions. */
class CharacterSets {
  readonly #sets: Ranges[] = [];
  /** By hash. Texts as keys would take seconds for `\p{L}` hundreds of times. */
  readonly #rows = new Map<
    number,
    { readonly runes: ArrayLike<number>; readonly kind: number; readonly row: number }[]
  >();

  rowOf(one: Re2Instruction): number {
    const { runes } = one;
    const kind = one.op * 2 + (one.arg & foldCase);
    let hash = kind;
    for (let at = 0; at < runes.length; at++) hash = (Math.imul(hash, 31) + (runes[at] ?? 0)) | 0;
    const alike = this.#rows.get(hash) ?? [];
    const known = alike.find((other) => other.kind === kind && areEqual(other.runes, runes));
    if (known !== undefined) return known.row;
    const row = this.#sets.push(rangesOf(one)) - 1;
    this.#rows.set(hash, [...alike, { runes, kind, row }]);
    return row;
  }

  /** `asked`: all assertions of the program. Only those make newlines and word characters classes of their own. */
  classify(asked: number): Pick<Program, "classes" | "accepts"> {
    const newlines: Ranges = (asked & (beginLine | endLine)) === 0 ? [] : [[newline, newline]];
    const words = (asked & (wordBoundary | noWordBoundary)) === 0 ? [] : wordRanges;
    const sets = [...this.#sets, newlines, words];
    const starts = new Set([0]);
    for (const [low, high] of sets.flat()) starts.add(low).add(high + 1);
    const sorted = Int32Array.from(starts).sort();
    const intervals = refine(sorted, sets);
    const count = intervals.reduce((most, one) => Math.max(most, one), 0) + 1;
    const accepts = new Uint8Array(sets.length * count);
    for (const [row, ranges] of sets.entries()) {
      eachInterval(sorted, ranges, (at) => {
        accepts[row * count + (intervals[at] ?? 0)] = 1;
      });
    }
    const neighbour = new Uint8Array(count);
    for (let one = 0; one < count; one++) {
      if (accepts[(sets.length - 2) * count + one] === 1) neighbour[one] = Neighbour.newline;
      if (accepts[(sets.length - 1) * count + one] === 1) neighbour[one] = Neighbour.word;
    }
    return { classes: new CharacterClasses({ starts: sorted, classes: intervals, neighbour }), accepts };
  }
}

function areEqual(some: ArrayLike<number>, others: ArrayLike<number>): boolean {
  if (some.length !== others.length) return false;
  for (let at = 0; at < some.length; at++) if (some[at] !== others[at]) return false;
  return true;
}

/** The class of each interval: two are of one class if every set has both or neither. */
function refine(starts: Int32Array, sets: readonly Ranges[]): Uint16Array {
  let classes = new Uint16Array(starts.length);
  for (const ranges of sets) {
    const inside = new Uint8Array(starts.length);
    eachInterval(starts, ranges, (at) => {
      inside[at] = 1;
    });
    const numbers = new Map<number, number>();
    classes = classes.map((before, at) => {
      const key = before * 2 + (inside[at] ?? 0);
      const found = numbers.get(key) ?? numbers.size;
      numbers.set(key, found);
      return found;
    });
  }
  return classes;
}

function eachInterval(starts: Int32Array, ranges: Ranges, visit: (at: number) => void): void {
  for (const [low, high] of ranges) {
    for (let at = intervalOf(starts, low); at < starts.length && (starts[at] ?? 0) <= high; at++) visit(at);
  }
}
