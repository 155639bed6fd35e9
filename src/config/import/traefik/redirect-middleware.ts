import type { YamlMap } from "../draft.ts";
import { redirectOf } from "../redirects.ts";
import type { SourceObject } from "../source-object.ts";
import { groupsIn } from "./path-changes.ts";

/** A redirect of some requests of a route; the others go on. */
export interface PartialRedirect {
  readonly redirect: YamlMap;
  /** What a request needs in addition to the route's match. */
  readonly scheme: "http" | "https" | undefined;
  readonly host: string | undefined;
}

interface Problem {
  readonly problem: string;
}

/** Traefik answers GET with 301 or 302, and other methods with the statuses that keep them. */
const statusOf = (middleware: SourceObject): number => (middleware.flag("permanent") === true ? 308 : 307);

export function schemeRedirect(middleware: SourceObject): PartialRedirect | Problem {
  const scheme = middleware.text("scheme").toLowerCase();
  const written = middleware.number("port");
  const isDefault = written === (scheme === "https" ? 443 : 80);
  const found = redirectOf({ scheme, port: isDefault ? undefined : written, status: statusOf(middleware) });
  middleware.dismiss("forcePermanentRedirect");
  if ("problem" in found) return found;
  return { redirect: found.redirect, scheme: scheme === "https" ? "http" : "https", host: undefined };
}

/** `^https?://host/(.*)` to another scheme or host with the same path. Other patterns have no equivalent. */
export function patternRedirect(middleware: SourceObject): PartialRedirect | Problem {
  const regex = middleware.text("regex");
  const replacement = groupsIn(middleware.text("replacement"));
  const status = statusOf(middleware);
  const problem = { problem: `the redirect of ${regex} to ${replacement} has no equivalent` };
  const from = /^\^?(https\?|http|https|\(http\|https\))\??:\/\/(.*)$/.exec(regex);
  const to = /^(https?):\/\/(.*)$/.exec(replacement);
  if (from === null || to === null) return problem;
  const [, fromScheme = "", fromRest = ""] = from;
  const [, scheme = "", toRest = ""] = to;
  const matched = fromScheme === "http" || fromScheme === "https" ? fromScheme : undefined;
  if (/^\((?:\.\*|\.\+)\)\$?$/.test(fromRest) && toRest === "$1") {
    if (matched === undefined || matched === scheme) return problem;
    return { redirect: { scheme, status }, scheme: matched, host: undefined };
  }
  const host = /^((?:[A-Za-z0-9-]|\\?\.)+)\/\((?:\.\*|\.\+)\)\$?$/
    .exec(fromRest)?.[1]
    ?.replaceAll("\\", "")
    .toLowerCase();
  const target = /^([A-Za-z0-9.-]+)\/\$1$/.exec(toRest)?.[1]?.toLowerCase();
  if (host === undefined || target === undefined || (host === target && (matched ?? scheme) === scheme)) return problem;
  const found = redirectOf({ scheme, host: target, status });
  return "problem" in found ? found : { redirect: found.redirect, scheme: matched, host };
}
