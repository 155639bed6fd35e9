import { cookieAttributes } from "../decide/cookie-attributes.ts";
import { prefixTrail, type Trail } from "../decide/decision.ts";
import type { Admission } from "../decide/override.ts";
import type { Release } from "../decide/release.ts";
import type { CookieSpec } from "../decide/release-spec.ts";
import { defaultPorts, parseAuthority } from "../http/authority.ts";
import { findCookie } from "../http/cookies.ts";
import { stripParameters } from "../http/query.ts";
import type { RequestHead } from "../http/request-head.ts";
import { isNetworkPath, localPath } from "../http/url-reference.ts";
import type { RequestFacts } from "../identify/request-facts.ts";
import { changePath, type RedirectSpec } from "../route/route-spec.ts";
import type { Redirect } from "./local-reply.ts";

/** The parts of a request that a route's redirect uses. */
export interface RedirectedRequest {
  readonly head: { readonly path: string; readonly query: string; readonly authority: string };
  readonly facts: { readonly isHttps: boolean };
}

/** The redirect of a route. */
export function routeRedirect(spec: RedirectSpec, request: RedirectedRequest): Redirect {
  return { status: spec.status, location: redirectLocation(spec, request), setCookie: undefined };
}

/**
 * Scheme, host and port come from the configuration or from the request's validated authority, so nothing in the path or
 * query can redirect a client to another host (open redirect).
 */
function redirectLocation(spec: RedirectSpec, { head, facts }: RedirectedRequest): string {
  const path = localPath(spec.path === undefined ? head.path : changePath(spec.path, head.path));
  const target = visible(head.query === "" ? path : `${path}?${head.query}`);
  if (spec.scheme === undefined && spec.host === undefined && spec.port === undefined) return target;
  const authority = parseAuthority(head.authority);
  const host = spec.host ?? authority?.host ?? "";
  // An HTTP/1.0 request may have no host: then only a path can be sent.
  if (host === "") return target;
  const scheme = spec.scheme ?? (facts.isHttps ? "https" : "http");
  // With another scheme, the port of the request does not apply.
  const port = spec.port ?? (spec.scheme === undefined ? authority?.port : undefined);
  const shown = port === undefined || port === defaultPorts[scheme] ? "" : `:${port}`;
  return `${scheme}://${host}${shown}${target}`;
}

/**
 * Follows an override link such as `/cart?perch-version=<token>`: the redirect stores a valid value in the override
 * cookie and leads to the same address without the parameter. Undefined for any other request and for an invalid value;
 * the parameter is then ignored, and still not sent upstream.
 *
 * `ownParameters`: the override parameters of all releases.
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
  const parameterTrail = prefixTrail(`parameter ${override.query}`, trail);
  const requirement = unmetRequirement(head);
  if (requirement !== undefined) {
    parameterTrail?.push({ stage: "override", outcome: "ignored", detail: `accepted only ${requirement}` });
    return undefined;
  }
  const location = cleanAddress(head, ownParameters);
  const pin = release.spec.sticky.cookie;
  if (leaveValues.has(value)) {
    // Without the cookie there is no override to end.
    if (head.cookies === undefined || findCookie(head.cookies, override.cookie) === undefined) return undefined;
    parameterTrail?.push({
      stage: "override",
      outcome: "used",
      detail: `ends the override and redirects to ${location}`,
    });
    return { status: 302, location, setCookie: setCookie(override.cookie, "", 0, pin, facts.isHttps) };
  }
  const admission = release.overrides?.admit(value, facts.clientAddress, nowMs, parameterTrail);
  if (admission === undefined) return undefined;
  const detail = `selects ${admission.version}, is stored in cookie ${override.cookie} and redirects to ${location}`;
  parameterTrail?.push({ stage: "override", outcome: "used", detail });
  const maxAge = secondsLeft(admission, nowMs);
  return { status: 302, location, setCookie: setCookie(override.cookie, value, maxAge, pin, facts.isHttps) };
}

/** Values that end an override. */
const leaveValues: ReadonlySet<string> = new Set(["none", "off"]);

/** The requirement that a request to an override link does not meet, as text; undefined if it meets all. */
function unmetRequirement(head: RequestHead): string | undefined {
  if (head.method !== "GET" && head.method !== "HEAD") return "with method GET or HEAD";
  // Browsers send this header; a request without it is from an old browser or another client.
  const mode = head.header("sec-fetch-mode");
  if (mode !== undefined && mode !== "navigate") return "when a browser opens a page";
  return isNetworkPath(head.path) ? "with a path that browsers cannot read as another host" : undefined;
}

/** The path and query without override parameters, as visible ASCII. */
function cleanAddress(head: RequestHead, ownParameters: ReadonlySet<string>): string {
  const query = stripParameters(head.query, ownParameters);
  const address = query === "" ? head.path : `${head.path}?${query}`;
  return visible(address);
}

/** Undefined for a session cookie. */
function secondsLeft({ expiresAtMs }: Admission, nowMs: number): number | undefined {
  return expiresAtMs === undefined ? undefined : Math.ceil((expiresAtMs - nowMs) / 1000);
}

/**
 * Has the pin cookie's Path, Domain, Secure and Partitioned. A site that others embed needs SameSite=None for its
 * override as for its pin; otherwise always Lax, since links from other sites must work.
 */
function setCookie(name: string, value: string, maxAge: number | undefined, pin: CookieSpec, isHttps: boolean): string {
  const sameSite = pin.sameSite === "none" ? "none" : "lax";
  return `${name}=${value}${cookieAttributes(pin, maxAge, isHttps ? "https" : "http", sameSite)}`;
}

function visible(address: string): string {
  return address.replace(/[^!-~]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`);
}
