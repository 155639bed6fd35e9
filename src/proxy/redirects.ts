import { prefixTrail, type Trail } from "../decide/decision.ts";
import type { Admission } from "../decide/override.ts";
import type { Release } from "../decide/release.ts";
import type { CookieSpec } from "../decide/release-spec.ts";
import { parseAuthority } from "../http/authority.ts";
import { findCookie } from "../http/cookies.ts";
import { stripParameters } from "../http/query.ts";
import type { RequestHead } from "../http/request-head.ts";
import type { RequestFacts } from "../identify/request-facts.ts";
import { changePath, type RedirectSpec } from "../route/route-spec.ts";
import type { Redirect } from "./local-reply.ts";

/** What a redirect asks of a request. */
export interface RedirectedRequest {
  readonly head: { readonly path: string; readonly query: string; readonly authority: string };
  readonly facts: { readonly isHttps: boolean };
}

/** The answer of a route that sends its clients elsewhere. */
export function routeRedirect(spec: RedirectSpec, request: RedirectedRequest): Redirect {
  return { status: spec.status, location: redirectLocation(spec, request), setCookie: undefined };
}

/**
 * Where to. Scheme, host and port come from the configuration, or from the request's own authority, which was checked to
 * be one; so nothing in a request's path or query leads a client to another host.
 */
function redirectLocation(spec: RedirectSpec, { head, facts }: RedirectedRequest): string {
  const path = localPath(spec.path === undefined ? head.path : changePath(spec.path, head.path));
  const target = visible(head.query === "" ? path : `${path}?${head.query}`);
  if (spec.scheme === undefined && spec.host === undefined && spec.port === undefined) return target;
  const asked = parseAuthority(head.authority);
  const host = spec.host ?? asked?.host ?? "";
  // An HTTP/1.0 request may name no host: all that can be said is the path.
  if (host === "") return target;
  const scheme = spec.scheme ?? (facts.isHttps ? "https" : "http");
  // Another scheme is another port: that of the one asked for says nothing of it.
  const port = spec.port ?? (spec.scheme === undefined ? asked?.port : undefined);
  const shown = port === undefined || port === defaultPorts[scheme] ? "" : `:${port}`;
  return `${scheme}://${host}${shown}${target}`;
}

const defaultPorts = { http: 80, https: 443 } as const;

/** An address as visible ASCII. */
function visible(address: string): string {
  return address.replace(/[^!-~]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`);
}

/** Browsers read `//host` and `/\host` at the start of a Location as another host's address. */
function localPath(path: string): string {
  return /[\\]|^\/\//.test(path) ? path.replaceAll("\\", "%5C").replace(/^\/+/, "/") : path;
}

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
  const told = prefixTrail(`parameter ${override.query}`, trail);
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
