import { RE2JS, RE2JSException } from "re2js";
import type { Pattern } from "../decide/condition.ts";
import type { PathPattern } from "../route/route-spec.ts";
import { quote } from "./schema-kit/tree.ts";

/**
 * Compiles a regular expression in RE2 syntax (https://github.com/google/re2/wiki/Syntax). It has no back-references
 * and no look-around, so matching takes linear time. It matches anywhere in the text.
 */
export function compilePattern(source: string): Pattern | { readonly problem: string } {
  const compiled = compile(source);
  return "problem" in compiled ? compiled : Object.freeze(new LinearPattern(source, compiled));
}

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

/** A group that did not take part in the match is empty. */
function textOf(group: unknown): string {
  return typeof group === "string" ? group : "";
}

/** Limits on patterns: in the worst case a match takes time proportional to text length × instructions. */
const maxSource = 1_024;
const maxInstructions = 2_000;

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
    // A stack overflow: the parser recurses into nested groups.
    return { problem: "it is too complicated" };
  }
}
