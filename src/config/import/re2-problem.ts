import { compilePattern } from "../pattern.ts";

/** Why Perch cannot take a pattern, as in "the pattern (?=a) is not valid RE2 syntax (…)"; undefined if it can. */
export function re2Problem(pattern: string): string | undefined {
  const compiled = compilePattern(pattern);
  return "problem" in compiled ? `the pattern ${pattern} is not valid RE2 syntax (${compiled.problem})` : undefined;
}
