import { parseAuthority } from "../identify/authority.ts";
import { changePath } from "../route/path-change.ts";
import type { RedirectSpec } from "../route/redirect-spec.ts";
import type { Redirect } from "./own-answer.ts";

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
export function visible(address: string): string {
  return address.replace(/[^!-~]/g, (octet) => `%${octet.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`);
}

/** Browsers read `//host` and `/\host` at the start of a Location as another host's address. */
function localPath(path: string): string {
  return /[\\]|^\/\//.test(path) ? path.replaceAll("\\", "%5C").replace(/^\/+/, "/") : path;
}
