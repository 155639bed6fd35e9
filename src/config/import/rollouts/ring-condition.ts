import { compilePattern } from "../../pattern.ts";
import { cookieName, headerName, queryName } from "../../scalars.ts";
import type { Schema } from "../../schema-kit/schema.ts";
import { accepts } from "../accepts.ts";
import type { YamlMap } from "../draft.ts";
import type { SourceObject } from "../source-object.ts";

export interface Problem {
  readonly problem: string;
}

/** A test as Istio writes it (`exact`, `prefix`, `suffix`, `regex`), for a condition of Perch. */
function testOf(written: SourceObject): YamlMap | Problem {
  for (const [key, operator] of operators) {
    const value = written.text(key);
    if (value !== "") return { [operator]: value };
  }
  const regex = written.text("regex");
  if (regex === "") return written.keys().length === 0 ? { exists: true } : { problem: `${written.path} has no test` };
  const compiled = compilePattern(regex);
  // Envoy matches the whole value.
  return "problem" in compiled
    ? { problem: `the pattern ${regex} is not valid RE2 syntax (${compiled.problem})` }
    : { regex: `^(?:${regex})$` };
}

const operators = [
  ["exact", "equals"],
  ["prefix", "prefix"],
  ["suffix", "suffix"],
] as const;

/**
 * The condition of a match of Istio: all of its parts must hold. A match with a part that Perch cannot express has no
 * condition, since without that part it would match more requests.
 */
export function conditionOf(match: SourceObject): YamlMap | Problem {
  const parts: YamlMap[] = [];
  const problems: string[] = [];
  const use = (part: YamlMap | Problem): void => {
    if (isProblem(part)) problems.push(part.problem);
    else parts.push(part);
  };
  const headers = match.object("headers");
  for (const name of headers.keys()) use(headerTest(name, headers.object(name)));
  const query = match.object("queryParams");
  for (const name of query.keys()) use(named("query", name, queryName, testOf(query.object(name))));
  if (match.has("uri")) use(plain("path", testOf(match.object("uri"))));
  if (match.has("method")) use(plain("method", testOf(match.object("method"))));
  match.dismiss("name");
  const [first] = [...problems, ...match.unread().map((path) => `${path}: no equivalent`)];
  if (first !== undefined) return { problem: first };
  const [only] = parts;
  if (only === undefined) return { problem: `${match.path} has no condition` };
  return parts.length === 1 ? only : { all: parts };
}

/** A condition that holds if one of these does, or all of them. Undefined if there is none. */
export function joinedBy(kind: "any" | "all", conditions: readonly YamlMap[]): YamlMap | undefined {
  const [only] = conditions;
  return conditions.length < 2 ? only : { [kind]: conditions };
}

/** The usual pattern for one cookie among others, as in `^(.*?;)?(canary=always)(;.*)?$`. */
const oneCookie = /^\^\(\.\*\??;(?:\\s\*| ?\??)?\)\?\(?([\w-]+)=([\w-]+)\)?\(;\.\*\)\?\$$/;

/** The condition of a test on a header. A pattern for one cookie becomes a test on that cookie. */
export function headerTest(name: string, written: SourceObject): YamlMap | Problem {
  if (name.toLowerCase() !== "cookie") return named("header", name.toLowerCase(), headerName, testOf(written));
  const [, cookie, value] = oneCookie.exec(written.text("regex")) ?? [];
  if (cookie === undefined || value === undefined) return named("header", "cookie", headerName, testOf(written));
  return named("cookie", cookie, cookieName, { equals: value });
}

export function isProblem(part: YamlMap | Problem): part is Problem {
  return typeof part["problem"] === "string";
}

function named(kind: string, name: string, schema: Schema<unknown>, test: YamlMap | Problem): YamlMap | Problem {
  if (isProblem(test)) return test;
  return accepts(schema, name) ? { [kind]: { [name]: test } } : { problem: `${name} is no name of a ${kind}` };
}

function plain(fact: string, test: YamlMap | Problem): YamlMap | Problem {
  return isProblem(test) ? test : { [fact]: test };
}
