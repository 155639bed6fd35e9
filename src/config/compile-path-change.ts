import { type PathChange, withoutTrailingSlash } from "../route/path-change.ts";
import type { PathMatch } from "../route/route-match.ts";
import type { Reading } from "./kit/schema.ts";

/** The part of a redirect or a rewrite that changes the path. */
interface PathChangeConfig {
  readonly path: string | undefined;
  readonly prefix: string | undefined;
}

/** `matched` is what the route matches: the prefix that another one takes the place of. */
export function compilePathChange(
  config: PathChangeConfig,
  what: string,
  matched: PathMatch | undefined,
  reading: Reading,
): PathChange | undefined {
  if (config.path !== undefined && config.prefix !== undefined) {
    const message = `"path" and "prefix" exclude each other in ${what}`;
    reading.error(reading.keySpanOf(config, "prefix"), "conflicting-keys", message);
  }
  if (config.path !== undefined) return { kind: "path", path: config.path };
  if (config.prefix === undefined) return undefined;
  if (matched !== undefined && matched.kind !== "prefix") {
    const message = "there is no prefix to put another one in place of: the route matches no prefix";
    reading.error(
      reading.keySpanOf(config, "prefix"),
      "conflicting-keys",
      message,
      `write match.path as a prefix, or "path" here`,
    );
  }
  const from = withoutTrailingSlash(matched?.kind === "prefix" ? matched.path : "/");
  return { kind: "prefix", from, to: withoutTrailingSlash(config.prefix) };
}
