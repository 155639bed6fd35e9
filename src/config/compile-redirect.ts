import type { RedirectSpec } from "../route/redirect-spec.ts";
import type { PathMatch } from "../route/route-match.ts";
import { compilePathChange } from "./compile-path-change.ts";
import type { Reading } from "./kit/schema.ts";
import type { RedirectConfig } from "./redirect-schema.ts";

/** `path` is what the route matches. */
export function compileRedirect(config: RedirectConfig, path: PathMatch | undefined, reading: Reading): RedirectSpec {
  return {
    status: config.status ?? 302,
    scheme: config.scheme,
    host: config.host,
    port: config.port,
    path: compilePathChange(config, "a redirect", path, reading),
  };
}
