import type { Release } from "../decide/decide.ts";
import type { Admission } from "../decide/override.ts";
import type { CookieSpec } from "../decide/release.ts";
import type { Trail } from "../decide/trail.ts";
import { findCookie } from "../identify/cookies.ts";
import { stripParameters } from "../identify/query.ts";
import type { RequestFacts } from "../identify/request-facts.ts";
import type { RequestHead } from "../identify/request-head.ts";
import type { Redirect } from "./own-answer.ts";
import { visible } from "./redirect.ts";
import { toldOf } from "./told-of.ts";

/** Values by which a tester leaves again. */
const leaving: ReadonlySet<string> = new Set(["none", "off"]);

/** Browsers read `//host`, and `/\host` alike, as another host: no such path may stand in a Location. */
const anotherHost = /^\/[/\\]/;

/**
 * Follows a link for testers, such as `/cart?perch-version=<token>`: where its value counts, the answer keeps it in the
 * override's cookie and sends the browser to the same address without the parameter. Undefined for any other request,
 * and where the value does not count: then the parameter means nothing, and is taken out of what goes upstream.
 *
 * `ownParameters` are the links' parameters of all releases.
 */
export function followLink(
  release: Release,
  head: RequestHead,
  facts: RequestFacts,
  ownParameters: ReadonlySet<string>,
  nowMs: number,
  trail?: Trail,
): Redirect | undefined {
  const { override } = release.spec;
  if (override?.query === undefined || override.cookie === undefined || head.query === "") return undefined;
  const value = facts.query(override.query);
  if (value === undefined) return undefined;
  const told = toldOf(`parameter ${override.query}`, trail);
  const unfit = unfitFor(head);
  if (unfit !== undefined) {
    told?.push({ stage: "override", outcome: "ignored", detail: `it counts only ${unfit}` });
    return undefined;
  }
  const location = cleanAddress(head, ownParameters);
  const pin = release.spec.sticky.cookie;
  if (leaving.has(value)) {
    // Without the cookie there is nothing to leave: the request is served as it is.
    if (head.cookies === undefined || findCookie(head.cookies, override.cookie) === undefined) return undefined;
    told?.push({ stage: "override", outcome: "used", detail: `it ends the override and leads to ${location}` });
    return { status: 302, location, setCookie: setCookie(override.cookie, "", 0, pin, facts.isHttps) };
  }
  const admission = release.overrides?.admit(value, facts.clientAddress, nowMs, told);
  if (admission === undefined) return undefined;
  const detail = `it asks for ${admission.version}, is kept in the cookie ${override.cookie} and leads to ${location}`;
  told?.push({ stage: "override", outcome: "used", detail });
  const maxAge = secondsLeft(admission, nowMs);
  return { status: 302, location, setCookie: setCookie(override.cookie, value, maxAge, pin, facts.isHttps) };
}

/** Why a request is not one of somebody who opened a link, in words; undefined where it is. */
function unfitFor(head: RequestHead): string | undefined {
  if (head.method !== "GET" && head.method !== "HEAD") return "with GET and HEAD";
  // Browsers say so themselves; what says nothing is no browser, or an old one.
  const mode = head.header("sec-fetch-mode");
  if (mode !== undefined && mode !== "navigate") return "where a browser opens a page";
  return anotherHost.test(head.path) ? "with a path that can not be taken for another host" : undefined;
}

/** The same origin's path and query without the parameters of links, as visible ASCII. */
function cleanAddress(head: RequestHead, ownParameters: ReadonlySet<string>): string {
  const query = stripParameters(head.query, ownParameters);
  const address = query === "" ? head.path : `${head.path}?${query}`;
  return visible(address);
}

/** Undefined: until the browser closes. */
function secondsLeft({ expiresAtMs }: Admission, nowMs: number): number | undefined {
  return expiresAtMs === undefined ? undefined : Math.ceil((expiresAtMs - nowMs) / 1000);
}

/** Where the pin is sent, the override is needed. It is never for scripts, and always Lax, so that links work. */
function setCookie(name: string, value: string, maxAge: number | undefined, pin: CookieSpec, isHttps: boolean): string {
  const age = maxAge === undefined ? "" : `; Max-Age=${maxAge}`;
  const domain = pin.domain === undefined ? "" : `; Domain=${pin.domain}`;
  const secure = pin.secure === "always" || (pin.secure === "auto" && isHttps) ? "; Secure" : "";
  return `${name}=${value}${age}; Path=${pin.path}${domain}${secure}; HttpOnly; SameSite=Lax`;
}
