import { RE2JS, RE2JSException } from "re2js";
import { BoundedCache } from "../decide/bounded-cache.ts";
import { type Pattern, PatternMeter, type PatternScope, stepsOfRequest } from "../decide/pattern.ts";
import type { PathPattern } from "../route/route-spec.ts";
import { type Automaton, type AutomatonData, automatonFrom, automatonOf, byLines } from "./automaton.ts";
import { programOf } from "./regex-program.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import { quote, type Span } from "./schema-kit/tree.ts";

/** Longer texts are not tried. */
const maxLength = 40_000;
/** Longer than what is sent in earnest. A pattern with a table is tried on such a text only while there are steps left. */
const longLength = 8_192;
/** A rewrite that could be too costly for a path of this length is refused. */
const minLength = 256;
/** Below this, which real values and paths may exceed, a pattern deserves a warning. */
const roomyLength = { text: 4_096, path: 1_024 };

/**
 * Compiles a regular expression in RE2 syntax (https://github.com/google/re2/wiki/Syntax). It has no back-references
 * and no look-around, so matching takes linear time. It matches anywhere in the text.
 */
export function compilePattern(source: string): Pattern | { readonly problem: string } {
  const compiled = compile(source);
  return "problem" in compiled ? compiled : Object.freeze(new LinearPattern(source, compiled.automaton));
}

/** Warns of a pattern that is not tried on long texts, or rewritten if it is of paths. */
export function warnOfShortLimit(
  { source, sureLength }: Pick<Pattern, "source" | "sureLength">,
  of: "text" | "path",
  span: Span,
  parsing: ParseContext,
): void {
  if (sureLength >= roomyLength[of]) return;
  const consequence = of === "text" ? "count as not matching" : "are rejected if they match";
  const message = `the pattern ${quote(source)} can be costly: some ${of}s of more than ${sureLength} characters take it over 1 ms, and ${consequence}`;
  parsing.warn(span, "risky", message, "make its repetitions smaller");
}

/** A pattern that another thread has compiled. */
export function patternFrom(source: string, automaton: AutomatonData): Pattern {
  return Object.freeze(new LinearPattern(source, automatonFrom(automaton)));
}

/** Made by `compilePattern` and `patternFrom`. */
export class LinearPattern implements Pattern {
  readonly source: string;
  readonly sureLength: number;
  readonly #automaton: Automaton;
  /** The longest text that takes few steps, which are not counted. */
  readonly #freeLength: number;

  constructor(source: string, automaton: Automaton) {
    this.source = source;
    this.sureLength = sureLengthOf(automaton);
    this.#automaton = automaton;
    this.#freeLength = this.sureLength === maxLength ? longLength : 0;
  }

  get automaton(): AutomatonData {
    return this.#automaton.data;
  }

  test(text: string, scope?: PatternScope): boolean | undefined {
    const free = text.length <= this.#freeLength ? this.#automaton.test(text, { stepsLeft: 0 }) : undefined;
    if (free !== undefined) return free;
    const meter = scope?.patterns ?? new PatternMeter();
    return meter.find(this, text, this.#search(text));
  }

  #search(text: string): (meter: PatternMeter) => boolean | undefined {
    return (meter) => (text.length > maxLength || meter.stepsLeft <= 0 ? undefined : this.#automaton.test(text, meter));
  }
}

const sureLengthOf = ({ stepsPerCharacter }: Automaton): number =>
  Math.min(maxLength, Math.floor(stepsOfRequest / stepsPerCharacter));

const replacementPart = /\$(?:(\d)|(\$))/g;

/**
 * Compiles a pattern and the replacement of its first match. In the replacement `$1` to `$9` are the pattern's groups
 * and `$$` is a dollar sign.
 */
export function compileReplacement(
  source: string,
  replacement: string,
): PathPattern | { readonly problem: string; readonly of: "pattern" | "replacement" } {
  const compiled = compile(source);
  if ("problem" in compiled) {
    const problem = `${quote(source)} is not a valid regular expression: ${compiled.problem}`;
    return { problem, of: "pattern" };
  }
  if (!/^(?:[!-"%->@-~]|\$[$1-9])*$/.test(replacement)) {
    const problem = `${quote(replacement)} is not valid in a path: percent-encode ?, # and everything but visible ASCII; $1 to $9 are groups, $$ is a dollar sign`;
    return { problem, of: "replacement" };
  }
  if (/\\\d/.test(replacement)) {
    return {
      problem: `${quote(replacement)} has a backslash before a digit: write $1 to $9 for groups`,
      of: "replacement",
    };
  }
  const { automaton, groups } = compiled;
  const { finder, tail } = finderOf(source, groups);
  const sureLength = Math.floor(groupBudgetNs / groupNsPerCharacter(finder));
  if (sureLength < minLength) return { problem: `${quote(source)} is too costly: ${advice}`, of: "pattern" };
  const highest = Math.max(0, ...Array.from(replacement.matchAll(replacementPart), ([, group]) => Number(group ?? 0)));
  if (highest > groups.groupCount()) {
    return { problem: `the pattern ${quote(source)} has no group ${highest}`, of: "replacement" };
  }
  return Object.freeze(
    new Replacement({ source, replacement, sureLength, automaton: automaton.data }, automaton, { finder, tail }),
  );
}

/** What a replacement is made of. */
export interface ReplacementData {
  readonly source: string;
  readonly replacement: string;
  readonly sureLength: number;
  readonly automaton: AutomatonData;
}

/** A replacement that another thread has compiled. Its groups, of a bounded size, are compiled here once more. */
export function replacementFrom(data: ReplacementData): PathPattern {
  const finder = finderOf(data.source, RE2JS.compile(data.source));
  return Object.freeze(new Replacement(data, automatonFrom(data.automaton), finder));
}

/** Made by `compileReplacement` and `replacementFrom`. */
export class Replacement implements PathPattern {
  readonly source: string;
  readonly sureLength: number;
  readonly data: ReplacementData;
  readonly #automaton: Automaton;
  readonly #finder: Finder;

  constructor(data: ReplacementData, automaton: Automaton, finder: Finder) {
    this.source = data.source;
    this.sureLength = data.sureLength;
    this.data = data;
    this.#automaton = automaton;
    this.#finder = finder;
  }

  replace(path: string): string | undefined {
    const found = this.#automaton.test(path, new PatternMeter());
    if (found === false) return path;
    if (found === undefined || path.length > this.sureLength) return undefined;
    return this.#finder.finder.matcher(path).replaceFirst((...match: unknown[]) => this.#replaced(match));
  }

  #replaced(match: readonly unknown[]): string {
    const { tail } = this.#finder;
    const written = this.data.replacement.replace(replacementPart, (_, group?: string) =>
      group === undefined ? "$" : textOf(match[Number(group)]),
    );
    return written + (tail === undefined ? "" : textOf(match[tail]));
  }
}

interface Finder {
  readonly finder: RE2JS;
  /** The group that has the rest of the path; undefined if the match is all. */
  readonly tail: number | undefined;
}

/**
 * Finds the same groups as the pattern does. re2js is fastest with patterns that end at the text's end and have one way
 * to match, as most have with `$`, or with a group `tail` for the rest of the path. A path has one line.
 */
function finderOf(source: string, groups: RE2JS): Finder {
  const plain = { finder: groups, tail: undefined };
  if (groups.re2().onepass !== null || !/^(?:\(\?i\))?\^/.test(source)) return plain;
  const anyEnd = /(?:^|[^\\])\.\*\)?$/.test(source) && !/\(\?[a-zA-Z]*[Um]/.test(source);
  const finder = RE2JS.compile(anyEnd ? `${source}$` : `(?:${source})((?s:.*))$`);
  return finder.re2().onepass === null ? plain : { finder, tail: anyEnd ? undefined : groups.groupCount() + 1 };
}

/** A group that did not take part in the match is empty. */
function textOf(group: unknown): string {
  return typeof group === "string" ? group : "";
}

/**
 * Measured: finding the groups takes re2js at most this many nanoseconds for a character and instruction, or for a
 * character of a pattern that has one way to match at each.
 */
const groupBudgetNs = 1_000_000;
const groupInstructionNs = 25;
const onePassNs = 100;

function groupNsPerCharacter(compiled: RE2JS): number {
  return compiled.re2().onepass === null ? compiled.programSize() * groupInstructionNs : onePassNs;
}

const maxSource = 1_024;
/** Of a list of names, which has no part whose size could surprise. */
const maxListSource = 8_192;
const list = /^(?:[^[{\\]|\\[^A-Zpx\d])*$/;
const maxInstructions = 6_000;
const advice = "make its repetitions smaller, or anchor it with ^";

const tooLarge = `it compiles to more than ${maxInstructions} instructions; make its repetitions smaller`;

const part = /\\[pP]\{[^}]*\}|\\x\{[^}]*\}|\\.|\[\^?\]?(?:\[:[^\]]*:\]|\\.|[^\]])*\]|\{(\d+)(?:,(\d*))?\}|./gsu;

/** About the number of instructions that a pattern compiles to. Compiling a million of them takes a second. */
function sizeOf(source: string): number {
  const groups = [0];
  let last = 0;
  for (const [text, least, most] of source.matchAll(part)) {
    const size = groups.pop() ?? 0;
    if (text === "(") {
      groups.push(size, 0);
    } else if (text === ")") {
      last = size;
      groups.push((groups.pop() ?? 0) + size);
    } else {
      const added = least === undefined ? 1 : last * (Math.max(Number(least), Number(most ?? 0), 1) - 1);
      last = least === undefined ? 1 : last + added;
      groups.push(size + added);
    }
  }
  return Math.max(...groups);
}

interface Compiled {
  readonly automaton: Automaton;
  /** Finds groups, at a multiple of the cost. */
  readonly groups: RE2JS;
}

/** By source. Most patterns outlive a reload, which would hold the event loop for milliseconds for each. */
const compiledBefore = new BoundedCache<readonly [source: string, Compiled]>(500, ([source]) => source);

function compile(source: string): Compiled | { readonly problem: string } {
  const known = compiledBefore.get(source);
  if (known !== undefined) return known[1];
  const compiled = compileAnew(source);
  if (!("problem" in compiled)) compiledBefore.add([source, compiled]);
  return compiled;
}

/** The begin of a pattern that any line takes. */
const anyBegin = /^(\(\?[a-zA-Z]+\))?\^?\.\*\??/;

function ofCompiled(compiled: RE2JS): Automaton | undefined {
  const program = programOf(compiled);
  return program && automatonOf(program);
}

function compileAnew(source: string): Compiled | { readonly problem: string } {
  const longest = list.test(source) ? maxListSource : maxSource;
  if (source.length > longest) return { problem: `it is longer than ${longest} characters` };
  if (sizeOf(source) > maxInstructions) return { problem: tooLarge };
  try {
    const groups = RE2JS.compile(source);
    if (groups.programSize() > maxInstructions) return { problem: tooLarge };
    const automaton = ofCompiled(groups);
    if (automaton === undefined) return { problem: "it has an assertion that is not supported" };
    const rest = source.replace(anyBegin, "$1");
    const simpler = rest === source ? undefined : ofCompiled(RE2JS.compile(rest));
    return { automaton: simpler === undefined ? automaton : byLines(automaton, simpler), groups };
  } catch (error) {
    if (error instanceof RE2JSException) return { problem: error.message.replace(/^error parsing regexp: /, "") };
    // A stack overflow: the parser recurses into nested groups.
    return { problem: "it is too complicated" };
  }
}
