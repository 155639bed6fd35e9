import {
  beginLine,
  beginText,
  CharacterClasses,
  type ClassIntervals,
  endLine,
  endText,
  Neighbour,
  noWordBoundary,
  Op,
  type Program,
  wordBoundary,
} from "./regex-program.ts";

/** Tells whether a regular expression matches anywhere in a text. */
export interface Automaton {
  /** The most steps that a character (a UTF-16 code unit) of the text takes. */
  readonly stepsPerCharacter: number;
  /** What it was made of: another thread gets it, and has the work of compiling saved. */
  readonly data: AutomatonData;
  /** Takes its steps from those left. Undefined if there were too few, which only a slow automaton finds on the way. */
  test(text: string, meter: { stepsLeft: number }): boolean | undefined;
}

/** An automaton as plain data, which may be sent to another thread. */
export type AutomatonData =
  | { readonly kind: "table"; readonly intervals: ClassIntervals; readonly table: Uint16Array; readonly start: number }
  | {
      readonly kind: "stepping";
      readonly program: Omit<Program, "classes">;
      readonly intervals: ClassIntervals;
    }
  | { readonly kind: "lines"; readonly several: AutomatonData; readonly one: AutomatonData };

export function automatonFrom(data: AutomatonData): Automaton {
  switch (data.kind) {
    case "table":
      return new TableAutomaton(new CharacterClasses(data.intervals), data.table, data.start);
    case "stepping":
      return new SteppingAutomaton({ ...data.program, classes: new CharacterClasses(data.intervals) });
    case "lines":
      return byLines(automatonFrom(data.several), automatonFrom(data.one));
  }
}

/** Patterns match anywhere, so in texts of one line a begin that takes any changes nothing but the cost. */
export function byLines(several: Automaton, one: Automaton): Automaton {
  return {
    stepsPerCharacter: one.stepsPerCharacter,
    data: { kind: "lines", several: several.data, one: one.data },
    test: (text, meter) => (text.includes("\n") ? several : one).test(text, meter),
  };
}

/**
 * Measured, with a margin for slower machines, in steps of 16 ns: a look-up, and a character that no part of the pattern
 * begins with, without a table. Instructions visited are a step each.
 */
const lookupSteps = 0.25;
const idleSteps = 1;

/**
 * Deterministic if the table of all states is small, as it is for almost every pattern that people write: then a
 * character costs one look-up, whatever the pattern. Otherwise each character may cost a step of every instruction.
 */
export function automatonOf(program: Program): Automaton {
  return buildTable(program) ?? new SteppingAutomaton(program);
}

/** States that a table does not list: from `dead` nothing matches any more, `accepted` matches whatever follows. */
const dead = 0;
const accepted = 1;
const first = 2;

/** Bounds of a table, 128 KiB, and of the work of making it, some ten milliseconds. */
const maxEntries = 1 << 16;
const maxWork = 1 << 19;
/** The table of a list of hundreds of names is large, but has no more states than the pattern has instructions. */
const listFactor = 8;

/** Undefined if it would be too large. */
function buildTable(program: Program): Automaton | undefined {
  const { classes } = program;
  const width = classes.count + 1;
  const stepper = new Stepper(program);
  const numbers = new Map<string, number>();
  const states: { readonly set: Uint16Array; readonly before: number }[] = [];
  const table: number[] = new Array(first * width).fill(dead).fill(accepted, width);
  const numberOf = (size: number, before: number): number => {
    if (size === matched) return accepted;
    if (size === 0 && before !== Neighbour.outside && !stepper.restarts) return dead;
    const set = stepper.next.slice(0, size).sort();
    const key = String.fromCharCode(before, ...set);
    const found = numbers.get(key) ?? states.push({ set, before }) - 1 + first;
    numbers.set(key, found);
    return found;
  };
  const start = numberOf(0, Neighbour.outside);
  /** By neighbour and class: the state if nothing but the pattern's begin reads that class, as mostly in lists of names. */
  const begun: (number | undefined)[] = [];
  for (let at = 0; at < states.length; at++) {
    const { set, before } = states[at] as (typeof states)[number];
    const factor = states.length <= 2 * program.op.length ? listFactor : 1;
    if (states.length * width > maxEntries * factor || stepper.work + table.length > maxWork * factor) return undefined;
    for (let one = 0; one < classes.count; one++) {
      const key = before * classes.count + one;
      const isBegun = !stepper.goesOn(set, one);
      const known = isBegun ? begun[key] : undefined;
      const number = known ?? numberOf(stepper.step(set, set.length, before, one), classes.neighbour[one] as number);
      if (isBegun) begun[key] = number;
      table.push(number);
    }
    table.push(stepper.end(set, set.length, before) ? accepted : dead);
  }
  return new TableAutomaton(program.classes, Uint16Array.from(table), start);
}

class TableAutomaton implements Automaton {
  readonly stepsPerCharacter = lookupSteps;
  readonly #classes: Program["classes"];
  readonly #table: Uint16Array;
  readonly #width: number;
  readonly #start: number;

  constructor(classes: CharacterClasses, table: Uint16Array, start: number) {
    this.#classes = classes;
    this.#table = table;
    this.#width = classes.count + 1;
    this.#start = start;
  }

  get data(): AutomatonData {
    return { kind: "table", intervals: this.#classes.intervals, table: this.#table, start: this.#start };
  }

  test(text: string, meter: { stepsLeft: number }): boolean {
    const table = this.#table;
    const width = this.#width;
    const classes = this.#classes;
    const { latin1 } = classes;
    let state = this.#start;
    let at = 0;
    for (; at < text.length && state > accepted; at++) {
      const code = text.charCodeAt(at);
      if (code < latin1.length) {
        state = table[state * width + (latin1[code] as number)] as number;
        continue;
      }
      const point = text.codePointAt(at) as number;
      if (point > 0xffff) at++;
      state = table[state * width + classes.of(point)] as number;
    }
    meter.stepsLeft -= at * lookupSteps;
    return table[state * width + width - 1] === accepted;
  }
}

class SteppingAutomaton implements Automaton {
  readonly stepsPerCharacter: number;
  readonly #program: Program;
  readonly #stepper: Stepper;
  readonly #classes: Program["classes"];

  constructor(program: Program) {
    this.stepsPerCharacter = idleSteps + 2 * program.op.length;
    this.#program = program;
    this.#stepper = new Stepper(program);
    this.#classes = program.classes;
  }

  get data(): AutomatonData {
    const { classes, ...program } = this.#program;
    return { kind: "stepping", program, intervals: classes.intervals };
  }

  test(text: string, meter: { stepsLeft: number }): boolean | undefined {
    const stepper = this.#stepper;
    const { neighbour } = this.#classes;
    let before: number = Neighbour.outside;
    let size = 0;
    for (let at = 0; at < text.length && (size > 0 || (size === 0 && (at === 0 || stepper.restarts))); at++) {
      const point = text.codePointAt(at) as number;
      if (point > 0xffff) at++;
      const one = this.#classes.of(point);
      const done = stepper.work;
      if (size > 0 || stepper.begins(before, one)) size = stepper.step(stepper.swap(), size, before, one);
      before = neighbour[one] as number;
      meter.stepsLeft -= idleSteps + stepper.work - done;
      if (meter.stepsLeft < 0) return undefined;
    }
    return size === matched || stepper.end(stepper.swap(), size, before);
  }
}

/** In place of a set's size: an instruction `match` was reached. */
const matched = -1;

/**
 * Steps sets of instructions over characters. A set holds what is reached without reading: characters, and assertions
 * that the next character decides. The begin of the pattern, which may match at any character, is in no set: a list of a
 * hundred names would make every set that large. Each step visits an instruction at most twice.
 */
class Stepper {
  /** The set that the last step gave, in no order. */
  next: Uint16Array;
  /** Visits of instructions so far. */
  work = 0;
  readonly #program: Program;
  #spare: Uint16Array;
  readonly #stack: Uint16Array;
  /** By instruction: the last step that visited it. */
  readonly #visited: Uint32Array;
  #visit = 0;
  /** Where `#add` writes, and how much it has written. */
  #target: Uint16Array;
  #size = 0;
  readonly #resolved: Uint16Array;
  /** By neighbour and class: where the pattern is if it begins at a character of that class. */
  readonly #begun: (Uint16Array | typeof matched | undefined)[] = [];
  /** Whether the pattern may begin behind a character, so that an empty set is not the end. */
  readonly restarts: boolean;

  constructor(program: Program) {
    const { length } = program.op;
    this.#program = program;
    this.next = new Uint16Array(length);
    this.#spare = new Uint16Array(length);
    this.#stack = new Uint16Array(length + 1);
    this.#visited = new Uint32Array(length);
    this.#resolved = new Uint16Array(length);
    this.#target = this.next;
    this.#clear(this.next);
    this.restarts = this.#add(program.start, beginLine, false) || this.#size > 0;
  }

  /** The set that the last step gave, which the next step does not overwrite. */
  swap(): Uint16Array {
    const current = this.next;
    this.next = this.#spare;
    this.#spare = current;
    return current;
  }

  /** The set behind a character of class `one`; `before` is the character before it. Returns its size, or `matched`. */
  step(set: Uint16Array, size: number, before: number, one: number): number {
    const after = this.#program.classes.neighbour[one] as number;
    const begun = this.#beginAt(before, one);
    const reached = this.#resolve(set, size, before, after);
    if (begun === matched || reached === matched) return matched;
    const flags = opening(after);
    const { out } = this.#program;
    this.#clear(this.next);
    this.work += reached + begun.length;
    for (let at = 0; at < reached; at++) {
      const pc = this.#resolved[at] as number;
      if (this.#reads(pc, one) && this.#add(out[pc] as number, flags, false)) return matched;
    }
    for (let at = 0; at < begun.length; at++) if (this.#add(begun[at] as number, flags, false)) return matched;
    return this.#size;
  }

  /** Whether the set may read a character of class `one`, or depends on it otherwise. */
  goesOn(set: Uint16Array, one: number): boolean {
    const { op } = this.#program;
    for (let at = 0; at < set.length; at++) {
      const pc = set[at] as number;
      if (op[pc] !== Op.character || this.#reads(pc, one)) return true;
    }
    return false;
  }

  /** Whether the pattern may begin with a character of class `one`, or matches without one. */
  begins(before: number, one: number): boolean {
    const begun = this.#beginAt(before, one);
    return begun === matched || begun.length > 0;
  }

  #reads(pc: number, one: number): boolean {
    const { classes, op, arg, accepts } = this.#program;
    return op[pc] === Op.character && accepts[(arg[pc] as number) * classes.count + one] === 1;
  }

  /** What follows the characters of class `one` that the pattern may begin with; the class after the last is the end. */
  #beginAt(before: number, one: number): Uint16Array | typeof matched {
    const { classes, out, start } = this.#program;
    const key = before * (classes.count + 1) + one;
    const known = this.#begun[key];
    if (known !== undefined) return known;
    const after = one === classes.count ? Neighbour.outside : (classes.neighbour[one] as number);
    this.#clear(this.#resolved);
    const isMatch = this.#add(start, opening(before) | closing(before, after), true);
    const reading = this.#resolved.slice(0, this.#size).filter((pc) => this.#reads(pc, one));
    const begun = isMatch ? matched : reading.map((pc) => out[pc] as number);
    this.#begun[key] = begun;
    return begun;
  }

  /** Whether the set matches at the text's end. */
  end(set: Uint16Array, size: number, before: number): boolean {
    if (this.#beginAt(before, this.#program.classes.count) === matched) return true;
    return this.#resolve(set, size, before, Neighbour.outside) === matched;
  }

  /** Decides the set's assertions, and writes what is reached to `#resolved`. Returns its size, or `matched`. */
  #resolve(set: Uint16Array, size: number, before: number, after: number): number {
    const flags = opening(before) | closing(before, after);
    this.#clear(this.#resolved);
    for (let at = 0; at < size; at++) if (this.#add(set[at] as number, flags, true)) return matched;
    return this.#size;
  }

  #clear(target: Uint16Array): void {
    this.#target = target;
    this.#size = 0;
    this.#visit++;
    if (this.#visit <= 0xffff_ffff) return;
    this.#visited.fill(0);
    this.#visit = 1;
  }

  /**
   * Adds what is reached from this instruction without reading. Assertions that `flags` does not meet are kept for the
   * next character, unless `isDecided`. Returns whether `match` is reached.
   */
  #add(from: number, flags: number, isDecided: boolean): boolean {
    const { op, out, arg } = this.#program;
    const visited = this.#visited;
    const stack = this.#stack;
    stack[0] = from;
    for (let depth = 1; depth > 0; ) {
      let pc = stack[--depth] as number;
      while (visited[pc] !== this.#visit) {
        visited[pc] = this.#visit;
        this.work++;
        const kind = op[pc];
        if (kind === Op.match) return true;
        if (kind === Op.split) {
          stack[depth++] = arg[pc] as number;
          pc = out[pc] as number;
          continue;
        }
        const open = kind === Op.assert ? (arg[pc] as number) & ~flags : 0;
        if (kind === Op.assert && open === 0) {
          pc = out[pc] as number;
          continue;
        }
        const isPending = !isDecided && (open & (beginLine | beginText)) === 0;
        if (kind === Op.character || (kind === Op.assert && isPending)) this.#target[this.#size++] = pc;
      }
    }
    return false;
  }
}

/** The assertions that hold behind this neighbour. */
function opening(before: number): number {
  if (before === Neighbour.outside) return beginText | beginLine;
  return before === Neighbour.newline ? beginLine : 0;
}

/** The assertions that hold between these neighbours, and that need the one behind. */
function closing(before: number, after: number): number {
  const word = (before === Neighbour.word) !== (after === Neighbour.word) ? wordBoundary : noWordBoundary;
  if (after === Neighbour.outside) return word | endText | endLine;
  return after === Neighbour.newline ? word | endLine : word;
}
