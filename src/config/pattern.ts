import { RE2JS, RE2JSException } from "re2js";
import type { Pattern } from "../decide/condition.ts";
import type { PathPattern } from "../route/route-spec.ts";
import { type Automaton, automatonOf } from "./automaton.ts";
import { programOf } from "./regex-program.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import { quote, type Span } from "./schema-kit/tree.ts";

/** A request's share of the event loop, in nanoseconds: no text may keep a pattern busy for longer. */
const budgetNs = 1_000_000;
/** Patterns that could be tried on less than this many characters are refused. */
const minLength = 256;
/** Below this limit, which real values may exceed, a pattern deserves a warning. */
const roomyLength = 4_096;

/**
 * Compiles a regular expression in RE2 syntax (https://github.com/google/re2/wiki/Syntax). It has no back-references
 * and no look-around, so matching takes linear time. It matches anywhere in the text.
 */
export function compilePattern(source: string): Pattern | { readonly problem: string } {
  const compiled = compile(source);
  return "problem" in compiled ? compiled : Object.freeze(new LinearPattern(source, compiled.automaton));
}

/** Warns of a pattern that is not tried on long texts; `consequence` is what happens to one. */
export function warnOfShortLimit(
  { source, maxLength }: Pick<Pattern, "source" | "maxLength">,
  consequence: string,
  span: Span,
  parsing: ParseContext,
): void {
  if (maxLength >= roomyLength) return;
  const message = `the pattern ${quote(source)} is costly, so it is tried on at most ${maxLength} characters: ${consequence}`;
  parsing.warn(span, "risky", message, "make its repetitions smaller to allow longer texts");
}

export const countsAsNotMatching = "a longer text counts as not matching";

class LinearPattern implements Pattern {
  readonly source: string;
  readonly maxLength: number;
  readonly #automaton: Automaton;

  constructor(source: string, automaton: Automaton) {
    this.source = source;
    this.maxLength = charactersFor(automaton.nsPerCharacter);
    this.#automaton = automaton;
  }

  test(text: string): boolean {
    return text.length <= this.maxLength && this.#automaton.test(text);
  }
}

const charactersFor = (nsPerCharacter: number): number => Math.floor(budgetNs / nsPerCharacter);

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
  const { automaton, groups } = compiled;
  const maxLength = charactersFor(groupNsPerCharacter(groups));
  if (maxLength < minLength) return { problem: `${quote(source)} is too costly: ${advice}`, of: "pattern" };
  const highest = Math.max(0, ...Array.from(replacement.matchAll(replacementPart), ([, group]) => Number(group ?? 0)));
  if (highest > groups.groupCount()) {
    return { problem: `the pattern ${quote(source)} has no group ${highest}`, of: "replacement" };
  }
  const replaced = (...match: unknown[]): string =>
    replacement.replace(replacementPart, (_, group?: string) =>
      group === undefined ? "$" : textOf(match[Number(group)]),
    );
  const replace = (path: string): string | undefined => {
    if (!automaton.test(path)) return path;
    return path.length > maxLength ? undefined : groups.matcher(path).replaceFirst(replaced);
  };
  return Object.freeze({ source, maxLength, replace });
}

/** A group that did not take part in the match is empty. */
function textOf(group: unknown): string {
  return typeof group === "string" ? group : "";
}

/**
 * Measured: finding the groups takes re2js at most this many nanoseconds for a character and instruction, or for a
 * character of a pattern that has one way to match at each.
 */
const groupInstructionNs = 25;
const onePassNs = 100;

function groupNsPerCharacter(compiled: RE2JS): number {
  return compiled.re2().onepass === null ? compiled.programSize() * groupInstructionNs : onePassNs;
}

const maxSource = 1_024;
const maxInstructions = 2_000;
const advice = "make its repetitions smaller, anchor it with ^, or split it into several conditions";

interface Compiled {
  readonly automaton: Automaton;
  /** Finds groups, at a multiple of the cost. */
  readonly groups: RE2JS;
}

function compile(source: string): Compiled | { readonly problem: string } {
  if (source.length > maxSource) return { problem: `it is longer than ${maxSource} characters` };
  try {
    const groups = RE2JS.compile(source);
    if (groups.programSize() > maxInstructions) {
      return { problem: `it compiles to more than ${maxInstructions} instructions; make its repetitions smaller` };
    }
    const program = programOf(groups);
    if (program === undefined) return { problem: "it has an assertion that is not supported" };
    const automaton = automatonOf(program);
    if (charactersFor(automaton.nsPerCharacter) < minLength) {
      return {
        problem: `matching it would block other requests: it is too costly for ${minLength} characters; ${advice}`,
      };
    }
    return { automaton, groups };
  } catch (error) {
    if (error instanceof RE2JSException) return { problem: error.message.replace(/^error parsing regexp: /, "") };
    // A stack overflow: the parser recurses into nested groups.
    return { problem: "it is too complicated" };
  }
}
