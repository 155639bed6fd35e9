import { hasHost } from "../../host-pattern.ts";
import { compilePattern } from "../../pattern.ts";
import { headerName, hostPattern, methodName, queryName, urlPath } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { YamlMap } from "../draft.ts";
import { escaped } from "../escaped.ts";
import { hostsOfPattern, patternOfTemplate } from "./host-regexp.ts";
import { parseRule, type Rule, type RuleTest } from "./rule.ts";
import { alternativesOf, type RuleLiteral } from "./rule-alternatives.ts";

/** The syntax of Traefik 2 or 3. They differ in the names of tests and in what `{}` and several arguments mean. */
export type RuleSyntax = "v2" | "v3";

/** The requests of one alternative of a rule. */
export interface RuleMatch {
  readonly match: YamlMap;
  /** The characters that every matching path begins with, where the rule names them. */
  readonly pathPrefix: string | undefined;
}

export interface RuleMatches {
  readonly matches: readonly RuleMatch[];
  /** Why alternatives have no equivalent. Without the test that they lack they would match more requests. */
  readonly problems: readonly string[];
}

/** The matches of a rule, one for each of its alternatives; those that differ only in their hosts are one. */
export function matchesOfRule(source: string, syntax: RuleSyntax): RuleMatches {
  const rule = parseRule(source);
  const alternatives = "problem" in rule ? rule : alternativesOf(plainRule(rule, syntax));
  if ("problem" in alternatives) return { matches: [], problems: [alternatives.problem] };
  const read = alternatives.map((literals) => readAlternative(literals, syntax));
  const problems = read.flatMap((one) => ("problem" in one ? [one.problem] : []));
  return { matches: mergeHosts(read.flatMap((one) => ("problem" in one ? [] : [one]))), problems };
}

/** Traefik takes names in any of three spellings. In version 2, several paths in one test are alternatives. */
function plainRule(rule: Rule, syntax: RuleSyntax): Rule {
  if (rule.kind === "not") return { ...rule, of: plainRule(rule.of, syntax) };
  if (rule.kind !== "test") return { ...rule, of: rule.of.map((one) => plainRule(one, syntax)) };
  const test = { ...rule, name: names.get(rule.name.toLowerCase()) ?? rule.name };
  if (syntax === "v3" || test.args.length < 2 || !/^Path(?:Prefix)?$/.test(test.name)) return test;
  return { kind: "or", of: test.args.map((arg) => ({ ...test, args: [arg] })) };
}

type PathTest =
  | { readonly kind: "exact" | "prefix"; readonly text: string }
  | { readonly kind: "pattern"; readonly pattern: string };

interface Found {
  hosts?: readonly string[];
  path?: PathTest;
  methods?: readonly string[];
  readonly headers: Map<string, YamlMap>;
  readonly query: Map<string, YamlMap>;
}

/** A problem, or undefined if the test was added. */
type Reader = (test: RuleTest, found: Found, syntax: RuleSyntax) => string | undefined;

function readAlternative(
  literals: readonly RuleLiteral[],
  syntax: RuleSyntax,
): RuleMatch | { readonly problem: string } {
  const found: Found = { headers: new Map(), query: new Map() };
  for (const { test, negated } of literals) {
    const written = `${negated ? "!" : ""}${test.name}(${test.args.map((arg) => `\`${arg}\``).join(", ")})`;
    const read = negated ? absence : readers.get(test.name);
    const problem = read === undefined ? "no equivalent" : read(test, found, syntax);
    if (problem !== undefined) return { problem: `${written}: ${problem}` };
  }
  return { match: matchOf(found), pathPrefix: found.path?.kind === "pattern" ? undefined : found.path?.text };
}

function matchOf({ hosts = [], path, methods = [], headers, query }: Found): YamlMap {
  return {
    ...(hosts.length === 0 ? {} : { hosts }),
    ...(path === undefined ? {} : pathMatch(path)),
    ...(methods.length === 0 ? {} : { methods }),
    ...(headers.size === 0 ? {} : { headers: Object.fromEntries(headers) }),
    ...(query.size === 0 ? {} : { query: Object.fromEntries(query) }),
  };
}

function pathMatch(path: PathTest): YamlMap {
  if (path.kind === "exact") return { path: { exact: path.text } };
  if (path.kind === "pattern") return { path: { regex: path.pattern } };
  // Traefik's prefix matches characters, not whole segments.
  return path.text === "/" ? {} : { path: { regex: `^${escaped(path.text)}` } };
}

/** A test for an absent header is the only opposite that a route can express. */
function absence({ name, args }: RuleTest, found: Found): string | undefined {
  const [header = "", pattern = ""] = args;
  const isAny = args.length === 2 && /^Headers?Regexp$/.test(name) && /^\^?\.[*+]?\$?$/.test(pattern);
  if (!isAny || !accepts(headerName, header)) return "routes have no tests for the opposite";
  return add(found.headers, header.toLowerCase(), { exists: false });
}

function host({ args }: RuleTest, found: Found): string | undefined {
  const hosts = args.map((one) => one.toLowerCase().replace(/\.$/, ""));
  const odd = hosts.find((one) => one.startsWith("*") || !accepts(hostPattern, one));
  return odd === undefined ? addHosts(hosts, found) : `${odd} is not a host`;
}

function hostRegexp({ args }: RuleTest, found: Found, syntax: RuleSyntax): string | undefined {
  const hosts: string[] = [];
  for (const arg of args) {
    const known = hostsOfPattern(syntax === "v2" ? `^${patternOfTemplate(arg, ".+")}$` : arg);
    if (known === undefined) {
      return "Perch has no patterns for hosts, and without ^ and $ others match too. Write *.example.com, if it may match any host below example.com";
    }
    // Any host: the test excludes nothing.
    if (known.length === 0) return undefined;
    hosts.push(...known);
  }
  return addHosts(hosts, found);
}

function addHosts(hosts: readonly string[], found: Found): string | undefined {
  const covers = (list: readonly string[], one: string) => list.some((other) => hasHost(other, one));
  const known = found.hosts;
  found.hosts =
    known === undefined
      ? hosts
      : [...known.filter((one) => covers(hosts, one)), ...hosts.filter((one) => covers(known, one))];
  found.hosts = [...new Set(found.hosts)];
  return found.hosts.length === 0 ? "no host meets all tests" : undefined;
}

const pathReader =
  (kind: "exact" | "prefix"): Reader =>
  ({ args }, found, syntax) => {
    const [text = "", ...others] = args;
    if (others.length > 0) return "several paths in one test: write them with ||";
    if (text.includes("{") && syntax === "v2") {
      const pattern = `^${patternOfTemplate(text, "[^/]+")}${kind === "exact" ? "$" : ""}`;
      return addPattern(pattern, found);
    }
    if (text.includes("{")) return "in version 3 braces have no meaning; with `syntax: v2` they are a pattern";
    if (!accepts(urlPath, text)) return `${text} is not a path`;
    return addPath({ kind, text }, found);
  };

function addPattern(pattern: string, found: Found): string | undefined {
  const compiled = compilePattern(pattern);
  if ("problem" in compiled) return `not valid RE2 syntax (${compiled.problem})`;
  return addPath({ kind: "pattern", pattern }, found);
}

function addPath(test: PathTest, found: Found): string | undefined {
  const known = found.path ?? test;
  const both = narrower(known, test) ?? narrower(test, known);
  if (both === undefined) return "no equivalent beside another test of the path";
  found.path = both;
  return undefined;
}

/** `a`, if every path that meets it meets `b` too. */
function narrower(a: PathTest, b: PathTest): PathTest | undefined {
  if (a.kind === "pattern" || b.kind === "pattern") {
    return a.kind === b.kind && "pattern" in a && "pattern" in b && a.pattern === b.pattern ? a : undefined;
  }
  const isWithin = b.kind === "exact" ? a.kind === "exact" && a.text === b.text : a.text.startsWith(b.text);
  return isWithin ? a : undefined;
}

const method: Reader = ({ args }, found) => {
  const methods = args.map((one) => one.toUpperCase());
  const odd = methods.find((one) => !accepts(methodName, one));
  if (odd !== undefined) return `${odd} is not a method`;
  found.methods = found.methods?.filter((one) => methods.includes(one)) ?? methods;
  return found.methods.length === 0 ? "no method meets all tests" : undefined;
};

const header =
  (operator: "equals" | "regex"): Reader =>
  ({ args }, found) => {
    const [name = "", value = ""] = args;
    // More of them would have to hold too.
    if (args.length !== 2) return "a test of a header has a name and a value";
    if (!accepts(headerName, name) || /^host$/i.test(name)) return `${name} is not a header that routes can test`;
    return addTest(found.headers, name.toLowerCase(), operator, value);
  };

/** Version 2 writes `key=value`, and all of several arguments have to hold. */
const query: Reader = ({ args }, found, syntax) => {
  const [name = "", value = ""] = args;
  if (syntax === "v3" && args.length <= 2) return addQuery(name, "equals", value, found);
  for (const arg of args) {
    const [key = "", text] = splitOnce(arg);
    if (text === undefined) return `${arg} has no value`;
    const isPattern = text.includes("{");
    const wanted = isPattern ? `^${patternOfTemplate(text, ".*")}$` : text;
    const problem = addQuery(key, isPattern ? "regex" : "equals", wanted, found);
    if (problem !== undefined) return problem;
  }
  return undefined;
};

function splitOnce(text: string): readonly [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

const queryRegexp: Reader = ({ args }, found) => {
  const [name = "", pattern = ""] = args;
  return args.length === 2 ? addQuery(name, "regex", pattern, found) : "it has a name and a pattern";
};

function addQuery(name: string, operator: "equals" | "regex", value: string, found: Found): string | undefined {
  return accepts(queryName, name) ? addTest(found.query, name, operator, value) : `${name} is not a parameter`;
}

function addTest(
  tests: Map<string, YamlMap>,
  name: string,
  operator: "equals" | "regex",
  value: string,
): string | undefined {
  const compiled = operator === "regex" ? compilePattern(value) : undefined;
  if (compiled !== undefined && "problem" in compiled) return `not valid RE2 syntax (${compiled.problem})`;
  return add(tests, name, { [operator]: value });
}

/** Tests of one name are one map, in which every operator stands once. */
function add(tests: Map<string, YamlMap>, name: string, test: YamlMap): string | undefined {
  const known = tests.get(name) ?? {};
  for (const [operator, value] of Object.entries(test)) {
    if (known[operator] !== undefined && known[operator] !== value) return `two tests of ${name} in one alternative`;
  }
  tests.set(name, { ...known, ...test });
  return undefined;
}

const pathRegexp: Reader = ({ args: [pattern = ""] }, found) => addPattern(pattern, found);

const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ["Host", host],
  ["HostHeader", host],
  ["HostRegexp", hostRegexp],
  ["Path", pathReader("exact")],
  ["PathPrefix", pathReader("prefix")],
  ["PathRegexp", pathRegexp],
  ["Method", method],
  ["Header", header("equals")],
  ["Headers", header("equals")],
  ["HeaderRegexp", header("regex")],
  ["HeadersRegexp", header("regex")],
  ["Query", query],
  ["QueryRegexp", queryRegexp],
  ["ClientIP", () => "routes cannot test addresses; rules of a release can, by clientAddress"],
]);

const names: ReadonlyMap<string, string> = new Map([...readers.keys()].map((name) => [name.toLowerCase(), name]));

/** Alternatives that differ only in their hosts, or only in their methods, are one match. */
function mergeHosts(matches: readonly RuleMatch[]): RuleMatch[] {
  return ["hosts", "methods"].reduce<RuleMatch[]>((list, key) => mergedBy(list, key), [...matches]);
}

function mergedBy(matches: readonly RuleMatch[], key: string): RuleMatch[] {
  const merged = new Map<string, RuleMatch>();
  for (const one of matches) {
    const { [key]: values, ...others } = one.match;
    const same = JSON.stringify([others, values === undefined, one.pathPrefix ?? null]);
    const known = merged.get(same);
    const both = [...listIn(known?.match[key]), ...listIn(values)];
    if (known === undefined || values === undefined) merged.set(same, one);
    else merged.set(same, { ...one, match: { ...one.match, [key]: [...new Set(both)] } });
  }
  return [...merged.values()];
}

const listIn = (value: unknown): readonly string[] => (Array.isArray(value) ? value : []);
