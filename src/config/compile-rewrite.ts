import type { RewriteSpec } from "../route/rewrite-spec.ts";
import type { PathMatch } from "../route/route-match.ts";
import { compilePathChange } from "./compile-path-change.ts";
import type { Reading } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";
import { compileReplacement } from "./pattern.ts";
import type { RewriteConfig } from "./rewrite-schema.ts";

/** `path` is what the route matches. */
export function compileRewrite(config: RewriteConfig, path: PathMatch | undefined, reading: Reading): RewriteSpec {
  const { host } = config;
  return {
    path: compilePath(config, path, reading),
    host: host === undefined ? undefined : host === "upstream" ? { kind: "endpoint" } : { kind: "text", text: host },
    cookieDomain: config.cookieDomain,
  };
}

function compilePath(config: RewriteConfig, path: PathMatch | undefined, reading: Reading): RewriteSpec["path"] {
  const change = compilePathChange(config, "a rewrite", path, reading);
  const { regex } = config;
  if (regex === undefined) return change;
  if (change !== undefined) {
    const message = `"regex" and ${quote(change.kind)} exclude each other in a rewrite`;
    reading.error(reading.keySpanOf(config, "regex"), "conflicting-keys", message);
  }
  const pattern = compileReplacement(regex.pattern, regex.replacement);
  if (!("problem" in pattern)) return { kind: "regex", pattern };
  reading.error(reading.spanOf(regex, pattern.of), "bad-regex", pattern.problem);
  return undefined;
}
