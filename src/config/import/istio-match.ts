import { compilePattern } from "../pattern.ts";
import type { Draft, YamlMap, YamlValue } from "./draft.ts";
import { type Loose, mapIn, mapsIn, textIn } from "./manifests.ts";

/**
 * The alternative matches of an HTTP route; `{}` matches every request. A rewritten prefix becomes one of whole
 * segments, since Perch can rewrite only those.
 */
export function matchesOf(route: Loose, hosts: readonly string[], where: string, draft: Draft): YamlMap[] {
  const matches = mapsIn(route["match"]);
  return (matches.length === 0 ? [{}] : matches).map((match) => {
    const uri = mapIn(match["uri"]);
    const prefix = textIn(uri["prefix"]).replace(/(?<=.)\/+$/, "");
    const segments = prefix !== "" && prefix !== "/" && textIn(mapIn(route["rewrite"])["uri"]) !== "";
    if (segments)
      draft.note(where, `the prefix ${prefix} is rewritten, so it matches whole segments only, not ${prefix}x`);
    const ignoresCase = match["ignoreUriCase"] === true;
    return readMatch(
      match,
      segments ? { path: { prefix } } : uriTest(uri, ignoresCase, where, draft),
      hosts,
      where,
      draft,
    );
  });
}

function readMatch(match: Loose, uri: YamlMap, hosts: readonly string[], where: string, draft: Draft): YamlMap {
  const method = textIn(mapIn(match["method"])["exact"]);
  const scheme = textIn(mapIn(match["scheme"])["exact"]);
  const headers = tests(match["headers"], where, draft, (name) => name.toLowerCase());
  const query = tests(match["queryParams"], where, draft, (name) => name);
  for (const key of ["port", "sourceLabels", "sourceNamespace", "gateways", "statPrefix"]) {
    if (match[key] !== undefined) draft.note(where, `match.${key}: no equivalent, ignored`);
  }
  const authority = textIn(mapIn(match["authority"])["exact"]).toLowerCase();
  if (match["authority"] !== undefined && authority === "") {
    draft.note(where, "match.authority by prefix or pattern: no equivalent, ignored");
  }
  for (const name of Object.keys(mapIn(match["withoutHeaders"]))) {
    // A test can require that a header is absent, but not that it has another value.
    draft.note(where, `withoutHeaders.${name}: matches only if the header is absent, whatever its value`);
    headers[name.toLowerCase()] = { exists: false };
  }
  const wanted = authority === "" ? hosts : [authority];
  return {
    ...(wanted.length === 0 ? {} : { hosts: wanted }),
    ...uri,
    ...(method === "" ? {} : { methods: [method] }),
    ...(scheme === "" ? {} : { scheme }),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(Object.keys(query).length === 0 ? {} : { query }),
  };
}

/** Istio's prefix matches characters, not whole segments. Its pattern matches the whole path. */
function uriTest(uri: Loose, ignoresCase: boolean, where: string, draft: Draft): YamlMap {
  const flag = ignoresCase ? "(?i)" : "";
  const exact = textIn(uri["exact"]);
  if (exact !== "") return { path: ignoresCase ? { regex: `(?i)^${escaped(exact)}$` } : { exact } };
  const prefix = textIn(uri["prefix"]);
  if (prefix === "/") return {};
  if (prefix !== "") return { path: { regex: `${flag}^${escaped(prefix)}` } };
  const regex = textIn(uri["regex"]);
  if (regex === "") return {};
  const compiled = compilePattern(regex);
  if (!("problem" in compiled)) return { path: { regex: `${flag}^(?:${regex})$` } };
  draft.note(where, `the pattern ${regex} is not valid RE2 syntax (${compiled.problem}): any path matches`);
  return {};
}

function tests(map: unknown, where: string, draft: Draft, nameOf: (name: string) => string): Record<string, YamlValue> {
  const found: Record<string, YamlValue> = {};
  for (const [written, value] of Object.entries(mapIn(map))) {
    const name = nameOf(written);
    const { exact, prefix, regex } = mapIn(value);
    if (exact !== undefined) found[name] = { equals: textIn(exact) };
    else if (prefix !== undefined) found[name] = { prefix: textIn(prefix) };
    else if (regex === undefined || textIn(regex) === "*" || textIn(regex) === ".*") found[name] = { exists: true };
    else if ("problem" in compilePattern(textIn(regex))) {
      draft.note(
        where,
        `the pattern ${textIn(regex)} of ${name} is not valid RE2 syntax: the match only requires that ${name} is present`,
      );
      found[name] = { exists: true };
    } else found[name] = { regex: `^(?:${textIn(regex)})$` };
  }
  return found;
}

/** Escapes a literal for RE2 syntax. */
function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
