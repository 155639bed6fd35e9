import { RE2JS, RE2JSException } from "re2js";
import type { Pattern } from "../decide/condition.ts";
import type { PathPattern } from "../route/route-spec.ts";
import { quote } from "./schema-kit/tree.ts";

/** Longer patterns, or ones that compile to more instructions, are refused: a match costs text × instructions at worst. */
const maxSource = 1_024;
const maxInstructions = 2_000;

class LinearPattern implements Pattern {
  readonly source: string;
  readonly #compiled: RE2JS;

  constructor(source: string, compiled: RE2JS) {
    this.source = source;
    this.#compiled = compiled;
  }

  test(text: string): boolean {
    return this.#compiled.test(text);
  }
}

/**
 * Compiles a user's regular expression: RE2 syntax (https://github.com/google/re2/wiki/Syntax), which has no
 * back-references and no look-around and so runs in time linear in the text, found anywhere in it.
 *
 * @returns the pattern, or what is wrong with it.
 */
export function compilePattern(source: string): Pattern | { readonly problem: string } {
  const compiled = compile(source);
  return "problem" in compiled ? compiled : Object.freeze(new LinearPattern(source, compiled));
}

const replacementPart = /\$(?:(\d)|(\$))/g;

/**
 * Compiles a pattern and what takes the place of its first match: `$1` to `$9` stand for its groups, `$$` for a dollar
 * sign.
 *
 * @returns what replaces, or what is wrong, and with which of the two.
 */
export function compileReplacement(
  source: string,
  replacement: string,
): PathPattern | { readonly problem: string; readonly of: "pattern" | "replacement" } {
  const compiled = compile(source);
  if ("problem" in compiled) {
    const problem = `${quote(source)} is not a regular expression that can be used: ${compiled.problem}`;
    return { problem, of: "pattern" };
  }
  if (!/^(?:[!-"%->@-~]|\$[$1-9])*$/.test(replacement)) {
    const problem = `${quote(replacement)} can not stand in a path: percent-encode ?, # and all but visible ASCII; $1 to $9 are groups, $$ is a dollar sign`;
    return { problem, of: "replacement" };
  }
  const highest = Math.max(0, ...Array.from(replacement.matchAll(replacementPart), ([, group]) => Number(group ?? 0)));
  if (highest > compiled.groupCount()) {
    return { problem: `the pattern ${quote(source)} has no group ${highest}`, of: "replacement" };
  }
  const replace = (path: string): string =>
    compiled
      .matcher(path)
      .replaceFirst((...match: unknown[]) =>
        replacement.replace(replacementPart, (_, group?: string) =>
          group === undefined ? "$" : textOf(match[Number(group)]),
        ),
      );
  return Object.freeze({ source, replace });
}

/** Of a group that took no part in the match, nothing. */
function textOf(group: unknown): string {
  return typeof group === "string" ? group : "";
}

function compile(source: string): RE2JS | { readonly problem: string } {
  if (source.length > maxSource) return { problem: `it is longer than ${maxSource} characters` };
  try {
    const compiled = RE2JS.compile(source);
    if (compiled.programSize() > maxInstructions) {
      return { problem: `it compiles to more than ${maxInstructions} instructions; make its repetitions smaller` };
    }
    return compiled;
  } catch (error) {
    if (error instanceof RE2JSException) return { problem: error.message.replace(/^error parsing regexp: /, "") };
    // Only a stack that ran out is left: the parser recurses on nested groups.
    return { problem: "it is too complicated" };
  }
}
