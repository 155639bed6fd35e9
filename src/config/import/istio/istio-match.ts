import { headerName, hostText, queryName, urlPath } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap, YamlValue } from "../draft.ts";
import { escaped } from "../escaped.ts";
import { re2Problem } from "../re2-problem.ts";
import type { SourceObject } from "../source-object.ts";
import { anyListener, type ListenerMatch } from "./istio-gateways.ts";

/** The test of a path, which decides what a rewrite replaces. */
export type UriTest =
  | { readonly kind: "any" | "whole" }
  /** `segments`: the match is of whole segments, as Perch's prefixes are. */
  | { readonly kind: "prefix"; readonly prefix: string; readonly ignoresCase: boolean; readonly segments: boolean };

export interface IstioMatch {
  /** Without hosts. */
  readonly match: YamlMap;
  readonly uri: UriTest;
  /** The only host; empty for all of the VirtualService. */
  readonly authority: string;
  readonly listenerMatch: ListenerMatch;
  /** Where it is in its object; empty for a route without `match`. */
  readonly path: string;
}

/** Why a match has no equivalent. */
interface Problem {
  readonly problem: string;
}

type Tests = Record<string, YamlValue>;

/**
 * The alternative matches of an HTTP route. One that Perch cannot express is left out and noted: without the part that
 * it lacks it would match more requests.
 */
export function matchesOf(route: SourceObject, where: string, draft: Draft): IstioMatch[] {
  const matches = route.objects("match");
  if (matches.length === 0 && isNothing(route.peek("match"))) {
    return [{ match: {}, uri: { kind: "any" }, authority: "", listenerMatch: anyListener, path: "" }];
  }
  if (matches.length === 0) {
    draft.leftOut(where, `${route.path}.match is not a list of matches: the route is left out`);
  }
  const isRewritten = route.object("rewrite").has("uri");
  return matches.flatMap((match) => {
    const found = readMatch(match, isRewritten);
    const problem = "problem" in found ? found.problem : unreadIn(match);
    if (problem !== undefined) {
      leaveOut(match.path, problem, where, draft);
      match.dismiss();
      return [];
    }
    if ("problem" in found) return [];
    for (const name of match.object("withoutHeaders").keys()) {
      draft.note(where, `withoutHeaders.${name}: matches only if the header is absent, whatever its value`);
    }
    if (found.uri.kind === "prefix" && found.uri.segments) {
      const { prefix } = found.uri;
      draft.note(where, `the prefix ${prefix} is rewritten, so it matches whole segments only, not ${prefix}x`);
    }
    return [found];
  });
}

/** Notes a match that is left out, since without the part that it lacks it would match more requests. */
export function leaveOut(path: string, problem: string, where: string, draft: Draft): void {
  draft.leftOut(where, `${problem}, so ${path || "this match"} is left out; later routes match its requests`);
}

const isNothing = (value: unknown): boolean => value === undefined || (Array.isArray(value) && value.length === 0);

function unreadIn(match: SourceObject): string | undefined {
  const unread = match.unread();
  return unread.length === 0 ? undefined : `${unread.join(", ")}: no equivalent`;
}

function readMatch(match: SourceObject, isRewritten: boolean): IstioMatch | Problem {
  match.dismiss("name", "statPrefix");
  const path = readUri(match.object("uri"), match.flag("ignoreUriCase") === true, isRewritten);
  if ("problem" in path) return path;
  const headers = readHeaders(match);
  if ("problem" in headers) return headers;
  const query = readTests(match.object("queryParams"), (name) => accepts(queryName, name));
  if ("problem" in query) return query;
  const methods = readMethods(match);
  const scheme = match.object("scheme").take("exact", (text) => (/^https?$/.test(text) ? text : undefined));
  const authority = match.object("authority").take("exact", (text) => (accepts(hostText, text) ? text : undefined));
  const gateways = match.texts("gateways");
  return {
    match: {
      ...path.match,
      ...(methods.length === 0 ? {} : { methods }),
      ...(scheme === undefined ? {} : { scheme }),
      ...(Object.keys(headers.tests).length === 0 ? {} : { headers: headers.tests }),
      ...(Object.keys(query.tests).length === 0 ? {} : { query: query.tests }),
    },
    uri: path.uri,
    authority: (authority ?? "").toLowerCase(),
    listenerMatch: { gateways: gateways.length === 0 ? undefined : gateways, port: match.number("port") },
    path: match.path,
  };
}

/** The tests of `headers`, and of `withoutHeaders`: a test can require that a header is absent, but not another value. */
function readHeaders(match: SourceObject): { readonly tests: Tests } | Problem {
  const headers = readTests(match.object("headers"), (name) => accepts(headerName, name));
  if ("problem" in headers) return headers;
  const present = lowerCase(headers.tests);
  if (Object.keys(present).length < Object.keys(headers.tests).length) {
    return { problem: `${match.path}.headers tests one header twice: no equivalent` };
  }
  const without = match.object("withoutHeaders");
  const absent: Tests = {};
  for (const name of without.keys()) {
    const key = name.toLowerCase();
    if (!accepts(headerName, name) || present[key] !== undefined) {
      return { problem: `${without.path}.${name}: no equivalent beside the other tests` };
    }
    absent[key] = { exists: false };
  }
  without.dismiss();
  return { tests: { ...present, ...absent } };
}

const lowerCase = (tests: Tests): Tests =>
  Object.fromEntries(Object.entries(tests).map(([name, test]) => [name.toLowerCase(), test]));

/** One method, or a pattern that only lists methods, as in `GET|HEAD`. */
function readMethods(match: SourceObject): readonly string[] {
  const method = match.object("method");
  const exact = method.take("exact", (text) => (/^[A-Z]+$/.test(text) ? text : undefined));
  if (exact !== undefined) return [exact];
  return method.take("regex", (text) => /^\^?\(?([A-Z]+(?:\|[A-Z]+)*)\)?\$?$/.exec(text)?.[1]?.split("|")) ?? [];
}

/** Istio's prefix matches characters, not whole segments. Its pattern matches the whole path. */
function readUri(
  uri: SourceObject,
  ignoresCase: boolean,
  isRewritten: boolean,
): { readonly match: YamlMap; readonly uri: UriTest } | Problem {
  const flag = ignoresCase ? "(?i)" : "";
  const exact = uri.text("exact");
  const prefix = uri.text("prefix");
  const text = exact || prefix;
  if (text !== "" && !accepts(urlPath, text)) return { problem: `${uri.path}: ${text} is not a path` };
  if (exact !== "") {
    const path = ignoresCase ? { regex: `(?i)^${escaped(exact)}$` } : { exact };
    return { match: { path }, uri: { kind: "whole" } };
  }
  if (prefix === "/") return { match: {}, uri: { kind: "any" } };
  if (prefix !== "") {
    const segments = isRewritten && !ignoresCase && !prefix.endsWith("/");
    const path = segments ? { prefix } : { regex: `${flag}^${escaped(prefix)}` };
    return { match: { path }, uri: { kind: "prefix", prefix, ignoresCase, segments } };
  }
  const regex = uri.text("regex");
  if (regex === "" && (uri.has("exact") || uri.has("regex"))) return { problem: `${uri.path} is empty` };
  if (regex === "") return { match: {}, uri: { kind: "any" } };
  const problem = re2Problem(regex);
  if (problem !== undefined) return { problem };
  // Here Istio does not heed ignoreUriCase.
  return { match: { path: { regex: `^(?:${regex})$` } }, uri: { kind: "whole" } };
}

function readTests(map: SourceObject, isName: (name: string) => boolean): { readonly tests: Tests } | Problem {
  const tests: Tests = {};
  for (const name of map.keys()) {
    if (!isName(name)) return { problem: `${map.path}.${name}: no equivalent` };
    const test = map.object(name);
    const regex = test.text("regex");
    if (test.has("exact")) tests[name] = { equals: test.text("exact") };
    else if (test.has("prefix")) tests[name] = { prefix: test.text("prefix") };
    else if (regex === "" || regex === "*" || regex === ".*") tests[name] = { exists: true };
    else {
      const problem = re2Problem(regex);
      if (problem !== undefined) return { problem };
      tests[name] = { regex: `^(?:${regex})$` };
    }
  }
  return { tests };
}
