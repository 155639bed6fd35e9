import { changePath } from "../route/path-change.ts";
import type { RedirectSpec } from "../route/redirect-spec.ts";
import type { RouteMatch } from "../route/route-match.ts";
import { RouteTable } from "../route/route-table.ts";
import type { RouteSpec } from "./compiled-config.ts";
import type { Reading } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";
import type { RouteConfig } from "./route-schema.ts";

/** Warns of redirects that lead back to themselves, by asking the route table about one request that each would make. */
export function warnRedirectLoops(
  configs: readonly RouteConfig[],
  routes: readonly RouteSpec[],
  reading: Reading,
): void {
  if (routes.every(({ redirect }) => redirect === undefined)) return;
  const table = new RouteTable(routes.map((route) => ({ match: route.match, target: route })));
  for (const [index, { name, match, redirect }] of routes.entries()) {
    const config = configs[index];
    if (redirect === undefined || config === undefined) continue;
    if (table.find(redirected(match, redirect), 0)?.name !== name) continue;
    const message = `route ${quote(name)} redirects to itself: a client would go round in circles`;
    const hint = redirect.scheme === undefined ? undefined : "match.scheme tells http from https";
    reading.warn(reading.keySpanOf(config, "redirect"), "risky", message, hint);
  }
}

/** The request of a client that followed the redirect. */
function redirected(match: RouteMatch, redirect: RedirectSpec) {
  const { path } = match;
  const asked = path === undefined || path.kind === "regex" ? "/" : path.path;
  return {
    method: match.methods[0] ?? "GET",
    host: redirect.host ?? match.hosts[0]?.replace("*", "any") ?? "",
    path: redirect.path === undefined ? asked : changePath(redirect.path, asked),
    isHttps: (redirect.scheme ?? match.scheme) === "https",
    header: () => undefined,
    query: () => undefined,
  };
}
