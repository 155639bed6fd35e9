import { withoutTrailingSlash } from "../../decide/path-prefix.ts";
import type { PathChange, PathMatch, RewriteSpec } from "../../route/route-spec.ts";
import { compileReplacement, warnOfShortLimit } from "../pattern.ts";
import { cookieDomain, urlPath } from "../scalars.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { oneOf, ParseError, scalar, text } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

/** The value of a Host header: a name or an address, optionally with a port. */
export const hostAndPort: Schema<string> = scalar({
  what: "a host such as shop.internal or shop.internal:8080",
  parse(written) {
    return /^(?:[A-Za-z0-9_~.-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(written)
      ? written
      : new ParseError(`${quote(written)} is not a host such as shop.internal or shop.internal:8080`);
  },
  json: { type: "string", pattern: "^(?:[A-Za-z0-9_~.-]{1,253}|\\[[0-9A-Fa-f:.]+\\])(?::\\d{1,5})?$" },
});

const regex = object(
  {
    pattern: required(
      "A pattern (RE2 syntax, linear time); its first match in the path is replaced.",
      text({ minLength: 1 }),
    ),
    replacement: required("The replacement; $1 to $9 are the pattern's groups, $$ is a dollar sign.", text()),
  },
  { what: "a rewrite by pattern" },
);

export const rewriteSchema = object(
  {
    prefix: optional("The replacement of the prefix that the route matches.", urlPath),
    path: optional("The new path.", urlPath),
    regex: optional("Replaces a part of the path by pattern.", regex),
    host: optional("The Host header for the upstream; `upstream`: the endpoint's own name.", hostAndPort),
    cookieDomain: optional("Replaces the Domain of the upstream's cookies; `none` removes it.", cookieDomain),
    responses: defaulted(
      "map: Location, Content-Location, Refresh and the Path of cookies are mapped back to the client's address; keep: they stay as the upstream sent them.",
      oneOf(["map", "keep"]),
      "map",
    ),
  },
  { what: "a rewrite", atLeastOneOf: ["prefix", "path", "regex", "host", "cookieDomain"] },
);

export type RewriteConfig = Infer<typeof rewriteSchema>;

/** `path` is the route's match. */
export function compileRewrite(config: RewriteConfig, path: PathMatch | undefined, parsing: ParseContext): RewriteSpec {
  const { host } = config;
  return {
    path: compilePath(config, path, parsing),
    host: host === undefined ? undefined : host === "upstream" ? { kind: "endpoint" } : { kind: "text", text: host },
    cookieDomain: config.cookieDomain,
    responses: config.responses,
  };
}

function compilePath(config: RewriteConfig, path: PathMatch | undefined, parsing: ParseContext): RewriteSpec["path"] {
  const change = compilePathChange(config, "a rewrite", path, parsing);
  const { regex } = config;
  if (regex === undefined) return change;
  if (change !== undefined) {
    const message = `"regex" and ${quote(change.kind)} cannot be used together in a rewrite`;
    parsing.error(parsing.keySpanOf(config, "regex"), "conflicting-keys", message);
  }
  const pattern = compileReplacement(regex.pattern, regex.replacement);
  if (!("problem" in pattern)) {
    warnOfShortLimit(pattern, "path", parsing.spanOf(regex, "pattern"), parsing);
    return { kind: "regex", pattern };
  }
  parsing.error(parsing.spanOf(regex, pattern.of), "bad-regex", pattern.problem);
  return undefined;
}

interface PathChangeConfig {
  readonly path: string | undefined;
  readonly prefix: string | undefined;
}

/** `matched` is the route's match, whose prefix is replaced. */
export function compilePathChange(
  config: PathChangeConfig,
  what: string,
  matched: PathMatch | undefined,
  parsing: ParseContext,
): PathChange | undefined {
  if (config.path !== undefined && config.prefix !== undefined) {
    const message = `"path" and "prefix" cannot be used together in ${what}`;
    parsing.error(parsing.keySpanOf(config, "prefix"), "conflicting-keys", message);
  }
  if (config.path !== undefined) return { kind: "path", path: config.path };
  if (config.prefix === undefined) return undefined;
  if (matched !== undefined && matched.kind !== "prefix") {
    const message = "there is no prefix to replace: the route does not match a prefix";
    parsing.error(
      parsing.keySpanOf(config, "prefix"),
      "conflicting-keys",
      message,
      `use a prefix in match.path, or "path" here`,
    );
  }
  const from = withoutTrailingSlash(matched?.kind === "prefix" ? matched.path : "/");
  return { kind: "prefix", from, to: withoutTrailingSlash(config.prefix) };
}
