import { isBelow, withoutTrailingSlash } from "../decide/path-prefix.ts";
import type { Entry } from "./schema-kit/collections.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import { quote } from "./schema-kit/tree.ts";
import type { ReleaseConfig } from "./sections/release.ts";
import type { RouteConfig } from "./sections/route.ts";

/**
 * Warns of pins that never come back on a route: browsers drop a cookie whose Domain does not cover the request's host,
 * and do not send one whose Path does not cover its path (RFC 6265 §5.1.3, §5.1.4). Each request is then drawn anew.
 */
export function warnOfCookieScope(
  releases: readonly Entry<ReleaseConfig>[],
  routes: readonly RouteConfig[],
  parsing: ParseContext,
): void {
  const cookies = new Map(releases.map(({ name, value }) => [name, value.sticky.cookie]));
  for (const { name, release = "", match } of routes) {
    const cookie = cookies.get(release);
    if (cookie === undefined) continue;
    const { domain, path } = cookie;
    const { hosts = [], path: { exact, prefix } = {} } = match;
    if (domain !== undefined && hosts.length > 0 && !hosts.some((host) => mayBeIn(domain, host))) {
      const message = `browsers drop the pin on route ${quote(name)}: none of its hosts is ${domain} or below`;
      parsing.warn(parsing.spanOf(cookie, "domain"), "risky", message);
    }
    const matched = exact ?? prefix;
    if (matched !== undefined && !mayBeBelow(path, matched, exact === undefined)) {
      const message = `browsers send no pin on route ${quote(name)}: its path ${matched} is not below ${path}`;
      parsing.warn(parsing.spanOf(cookie, "path"), "risky", message);
    }
  }
}

/** Whether some host of a pattern is the domain or below it. */
function mayBeIn(domain: string, host: string): boolean {
  const base = host.startsWith("*.") ? host.slice(2) : host;
  return base === domain || base.endsWith(`.${domain}`) || (base !== host && domain.endsWith(`.${base}`));
}

/** Whether some path that a route matches is the cookie's path or below it. */
function mayBeBelow(cookiePath: string, matched: string, isPrefix: boolean): boolean {
  return isSentTo(matched, cookiePath) || (isPrefix && isBelow(withoutTrailingSlash(matched), cookiePath));
}

/** RFC 6265 §5.1.4: a cookie of `/a/` is not sent to `/a`. */
function isSentTo(path: string, cookiePath: string): boolean {
  return path === cookiePath || path.startsWith(cookiePath.endsWith("/") ? cookiePath : `${cookiePath}/`);
}
