import { RE2JS, RE2JSException } from "re2js";
import type { Pattern } from "../decide/condition.ts";

/** Longer patterns, or ones that compile to more instructions, are refused: a match costs text × instructions at worst. */
const longestSource = 1_024;
const mostInstructions = 2_000;

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
  if (source.length > longestSource) return { problem: `it is longer than ${longestSource} characters` };
  try {
    const compiled = RE2JS.compile(source);
    if (compiled.programSize() > mostInstructions) {
      return { problem: `it compiles to more than ${mostInstructions} instructions; make its repetitions smaller` };
    }
    return Object.freeze(new LinearPattern(source, compiled));
  } catch (error) {
    if (error instanceof RE2JSException) return { problem: error.message.replace(/^error parsing regexp: /, "") };
    // Only a stack that ran out is left: the parser recurses on nested groups.
    return { problem: "it is too complicated" };
  }
}
