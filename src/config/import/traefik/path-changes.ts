import { compileReplacement } from "../../pattern.ts";
import { urlPath } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { YamlMap } from "../draft.ts";
import { escaped } from "../escaped.ts";
import type { SourceObject } from "../source-object.ts";

/** How middlewares change the path so far. */
export type PathChange =
  | { readonly kind: "none" }
  | { readonly kind: "whole"; readonly path: string }
  /** Replaces what the pattern matches; the replacement is a literal path that ends with a slash. */
  | { readonly kind: "start"; readonly pattern: string; readonly literal: string }
  | { readonly kind: "pattern"; readonly pattern: string; readonly replacement: string };

export interface PathProblem {
  readonly problem: string;
}

/** `stripPrefix`: the first prefix that the path begins with goes, and the rest begins with a slash. */
export function stripped(middleware: SourceObject, before: PathChange): PathChange | PathProblem {
  const prefixes = middleware.texts("prefixes");
  middleware.dismiss("forceSlash");
  return strippedBy(prefixes.map(escaped), before);
}

export function strippedByPattern(middleware: SourceObject, before: PathChange): PathChange | PathProblem {
  return strippedBy(middleware.texts("regex"), before);
}

function strippedBy(patterns: readonly string[], before: PathChange): PathChange | PathProblem {
  if (patterns.length === 0) return before;
  if (before.kind !== "none") return { problem: "a prefix is stripped after another change of the path" };
  const [only = ""] = patterns;
  const start = patterns.length > 1 || only.includes("|") ? `(?:${patterns.join("|")})` : only;
  return checked({ kind: "start", pattern: `^${start}/?`, literal: "/" });
}

export function prefixed(middleware: SourceObject, before: PathChange): PathChange | PathProblem {
  const prefix = `/${middleware.text("prefix").replace(/^\/+|\/+$/g, "")}`;
  if (prefix === "/") return before;
  if (!accepts(urlPath, prefix)) return { problem: `${prefix} is not a path` };
  if (before.kind === "none") return { kind: "start", pattern: "^/", literal: `${prefix}/` };
  if (before.kind === "whole") return { kind: "whole", path: `${prefix}${before.path}` };
  if (before.kind === "start") return { ...before, literal: `${prefix}${before.literal}` };
  return { kind: "pattern", pattern: before.pattern, replacement: `${literalText(prefix)}${before.replacement}` };
}

export function replaced(middleware: SourceObject): PathChange | PathProblem {
  const path = middleware.text("path");
  return accepts(urlPath, path) ? { kind: "whole", path } : { problem: `${path} is not a path` };
}

export function replacedByPattern(middleware: SourceObject, before: PathChange): PathChange | PathProblem {
  if (before.kind !== "none") return { problem: "a pattern is replaced after another change of the path" };
  const pattern = middleware.text("regex");
  return checked({ kind: "pattern", pattern, replacement: groupsIn(middleware.text("replacement")) });
}

/** `${1}` as `$1`. */
export const groupsIn = (replacement: string): string => replacement.replace(/\$\{(\d)\}/g, (_, group) => `$${group}`);

const literalText = (text: string): string => text.replaceAll("$", () => "$$");

function checked(change: PathChange): PathChange | PathProblem {
  const rewrite = rewriteOf(change)["regex"] as { readonly pattern: string; readonly replacement: string };
  const compiled = compileReplacement(rewrite.pattern, rewrite.replacement);
  return "problem" in compiled ? { problem: compiled.problem } : change;
}

/** The keys of a route's `rewrite`; empty if the path stays. */
export function rewriteOf(change: PathChange): YamlMap {
  if (change.kind === "none") return {};
  if (change.kind === "whole") return { path: change.path };
  const replacement = change.kind === "start" ? literalText(change.literal) : change.replacement;
  return { regex: { pattern: change.pattern, replacement } };
}
