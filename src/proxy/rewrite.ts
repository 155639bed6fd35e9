import { isBelow, withoutTrailingSlash } from "../decide/path-prefix.ts";
import { defaultPorts, parseAuthority, urlHost } from "../http/authority.ts";
import { removeFields } from "../http/header-fields.ts";
import { hasDotSegment, normalPath, type PathParameters } from "../http/path.ts";
import { isNetworkPath, localReference } from "../http/url-reference.ts";
import { changePath, type PathChange, type RewriteSpec } from "../route/route-spec.ts";
import type { Endpoint } from "../upstream/endpoint.ts";

/** The parts of a request that the mapping of its response uses. */
export interface RewrittenRequest {
  readonly head: { readonly authority: string };
  readonly facts: { readonly isHttps: boolean };
  readonly attempts: { readonly endpoint: Endpoint | undefined } | undefined;
  /** The X-Forwarded-Prefix that the upstream got, if the response is mapped by prefix. */
  readonly forwardedPrefix: string | undefined;
}

/** Rewrites the path and Host of requests, and maps upstream addresses in responses back. Built once per snapshot. */
export class Rewrite {
  readonly spec: RewriteSpec;
  readonly #parameters: PathParameters;
  /** X-Forwarded-Prefix: the prefix that every rewritten path loses; undefined if there is none. */
  readonly #prefix: string | undefined;

  constructor(spec: RewriteSpec, parameters: PathParameters) {
    this.spec = spec;
    this.#parameters = parameters;
    this.#prefix = spec.path?.kind === "prefix" ? lostPrefix(spec.path.from, spec.path.to) : undefined;
  }

  /**
   * The path that goes upstream for a path in normal form. Undefined if a regex replacement yields an ambiguous or
   * relative path: removing part of a client's path must not create dot segments. Undefined also if the path is longer
   * than the pattern's limit: sent unchanged it would reach what the rewrite hides.
   */
  path(path: string): string | undefined {
    const { path: change } = this.spec;
    if (change === undefined) return path;
    if (change.kind !== "regex") return changePath(change, path);
    const replaced = change.pattern.replace(path);
    return replaced?.startsWith("/") === true ? normalPath(replaced, this.#parameters) : undefined;
  }

  /**
   * The path that goes upstream for a path as the client wrote it. Undefined if the prefix is not there literally, or if
   * the upstream could read the result as another path than that of the normal form.
   */
  rawPath(written: string): string | undefined {
    const { path: change } = this.spec;
    if (change === undefined) return written;
    if (change.kind === "path") return change.path;
    const changed = change.kind === "prefix" ? rawPrefixChange(change, written) : change.pattern.replace(written);
    if (changed === undefined || changed === written) return changed;
    if (!changed.startsWith("/") || isNetworkPath(changed)) return undefined;
    return change.kind === "regex" && hasDotSegment(changed) ? undefined : changed;
  }

  /**
   * Writes X-Forwarded-Prefix into the fields of a request whose path lost a prefix. What a trusted caller sent comes
   * before it.
   */
  addPrefix(fields: string[], path: string, upstreamPath: string | undefined): void {
    const regex = this.spec.path?.kind === "regex" && upstreamPath !== undefined && upstreamPath !== "/";
    const lost = regex ? lostPrefix(path, upstreamPath) : this.#prefix;
    if (lost === undefined) return;
    const received: string[] = [];
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i]?.toLowerCase() === prefixField) received.push(...(fields[i + 1] ?? "").split(","));
    }
    removeFields(fields, [prefixField]);
    const before = received.map((prefix) => prefix.trim().replace(/\/$/, ""));
    const isUsable = before.every((prefix) => prefix === "" || plainPrefix.test(prefix));
    fields.push("X-Forwarded-Prefix", isUsable ? before.join("") + lost : lost);
  }

  /**
   * The X-Forwarded-Prefix among a request's fields as sent, also if the route's edits set it. Undefined if responses are
   * not mapped by prefix, or if the value is no prefix.
   */
  forwardedPrefix(fields: readonly string[]): string | undefined {
    if (this.spec.path?.kind !== "prefix" || this.spec.responses === "keep") return undefined;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i]?.toLowerCase() !== prefixField) continue;
      const prefix = withoutTrailingSlash(fields[i + 1] ?? "");
      return plainPrefix.test(prefix) ? prefix : undefined;
    }
    return undefined;
  }

  host(requested: string, endpoint: Endpoint | undefined): string {
    const { host } = this.spec;
    if (host === undefined) return requested;
    return host.kind === "text" ? host.text : endpoint === undefined ? requested : nameOf(endpoint);
  }

  /** Maps an upstream address in a response field back to the client's; returns any other value unchanged. */
  mapBack(name: string, value: string, exchange: RewrittenRequest): string {
    switch (name.toLowerCase()) {
      case "location":
      case "content-location":
        return this.spec.responses === "keep" ? value : this.#location(value, exchange);
      case "refresh":
        return this.spec.responses === "keep" ? value : this.#refresh(value, exchange);
      case "set-cookie":
        return this.#cookie(value, exchange);
      default:
        return value;
    }
  }

  #location(value: string, exchange: RewrittenRequest): string {
    // Browsers skip it, so that what follows may be read as another part.
    if (value.includes("\t")) return value;
    if (value.startsWith("/") && !isNetworkPath(value)) return this.#clientPath(value, exchange);
    const [, scheme, authority = "", rest = ""] = /^(https?:)?\/\/([^/?#]+)(.*)$/is.exec(value) ?? [];
    if (authority === "" || !this.#isUpstream(authority, exchange)) return value;
    const path = this.#clientPath(rest.startsWith("/") ? rest : `/${rest}`, exchange);
    const requested = exchange.head.authority;
    // The upstream named the client's own host, so its scheme is intended, as in a redirect to https.
    if (sameAuthority(authority, requested)) return `${scheme ?? ""}//${authority}${path}`;
    return requested === ""
      ? localReference(path)
      : `${exchange.facts.isHttps ? "https" : "http"}://${requested}${path}`;
  }

  #refresh(value: string, exchange: RewrittenRequest): string {
    const [, before = "", quote = "", rest = ""] = refresh.exec(value) ?? [];
    // Without an opening quote, any other belongs to the URL.
    const end = quote === "" ? -1 : rest.indexOf(quote);
    const url = end === -1 ? rest : rest.slice(0, end);
    return url === "" ? value : before + quote + this.#location(url, exchange) + rest.slice(url.length);
  }

  /**
   * Whether the authority is what the upstream may take for its own: the Host that it received, the client's host in
   * X-Forwarded-Host, or its endpoint's address.
   */
  #isUpstream(authority: string, exchange: RewrittenRequest): boolean {
    const endpoint = exchange.attempts?.endpoint;
    const requested = exchange.head.authority;
    if (sameAuthority(authority, requested) || sameAuthority(authority, this.host(requested, endpoint))) return true;
    return endpoint !== undefined && sameAuthority(authority, nameOf(endpoint));
  }

  /**
   * Replaces the upstream's prefix by the client's. Returns any other reference unchanged, and also one that is below the
   * client's prefix or X-Forwarded-Prefix already: it comes from an application that knows its prefix.
   */
  #clientPath(reference: string, { forwardedPrefix }: RewrittenRequest): string {
    const { path: change } = this.spec;
    if (change?.kind !== "prefix") return reference;
    const { from, to } = change;
    const end = reference.search(/[?#]/);
    const bare = end === -1 ? reference : reference.slice(0, end);
    // `/app/../x` is not below /app.
    const path = hasDotSegment(bare) ? normalPath(bare) : bare;
    if (path === undefined || !isBelow(to, path)) return reference;
    // Of nested prefixes the longer one counts: with /v1 for /v1/shop every path of the upstream is below /v1.
    if (from.length > to.length && isBelow(from, path)) return reference;
    if (forwardedPrefix !== undefined && forwardedPrefix.length > to.length && isBelow(forwardedPrefix, path)) {
      return reference;
    }
    return localReference(from + path.slice(to.length)) + reference.slice(bare.length);
  }

  /** `Path=/` becomes `/api`, not `/api/`, which would not match a request for `/api`. */
  #cookiePath(path: string, exchange: RewrittenRequest): string {
    // Browsers replace any other path by that of the request (RFC 6265 §5.2.4).
    if (!path.startsWith("/")) return path;
    const mapped = this.#clientPath(path, exchange);
    return path === "/" && mapped.length > 1 ? mapped.slice(0, -1) : mapped;
  }

  #cookie(line: string, exchange: RewrittenRequest): string {
    const { path: change, cookieDomain, responses } = this.spec;
    const mapsPath = change?.kind === "prefix" && responses === "map" && !hostCookie.test(line);
    const parts: string[] = [];
    for (const [index, part] of line.split(";").entries()) {
      const [, attribute = "", value = ""] = /^\s*(path|domain)\s*=\s*(.*)$/i.exec(part) ?? [];
      const kind = index === 0 ? "" : attribute.toLowerCase();
      if (kind === "path" && mapsPath) parts.push(` ${attribute}=${this.#cookiePath(value.trimEnd(), exchange)}`);
      else if (kind !== "domain" || cookieDomain === undefined) parts.push(part);
      else if (cookieDomain !== "none") parts.push(` ${attribute}=${cookieDomain}`);
    }
    return parts.join(";");
  }
}

const prefixField = "x-forwarded-prefix";

/** A Refresh field (HTML §4.2.5.3): what stands before the URL, its opening quote, and the rest. */
const refresh = /^(\s*[\d.]+\s*[;,]?\s*(?:url\s*=\s*)?)(["']?)(.*)$/is;

/** Browsers reject such a cookie with any Path but `/` (RFC 6265bis §4.1.3). */
const hostCookie = /^\s*__host-/i;

/** One or more segments that mean the same in a list, in a Location and in an HTML page. */
const plainPrefix = /^(?:\/[\w.~!$&()*+=:@%-]+)+$/;

/** The prefix that a path loses by becoming `rest`; undefined if it is replaced by something else. */
function lostPrefix(path: string, rest: string): string | undefined {
  if (!path.endsWith(rest)) return undefined;
  const prefix = path.slice(0, path.length - rest.length);
  return plainPrefix.test(prefix) ? prefix : undefined;
}

/** Undefined if the prefix is not there literally, or if dot segments lead above what replaces it. */
function rawPrefixChange(change: PathChange & { readonly kind: "prefix" }, written: string): string | undefined {
  if (!isBelow(change.from, written)) return undefined;
  const changed = changePath(change, written);
  const normal = normalPath(written);
  if (normal === undefined) return changed;
  return normalPath(changed) === normalPath(changePath(change, normal)) ? changed : undefined;
}

/** The Host of an endpoint, without the default port of its scheme. */
function nameOf({ address: { host, place, scheme } }: Endpoint): string {
  const name = urlHost(host);
  return "path" in place || place.port === defaultPorts[scheme] ? name : `${name}:${place.port}`;
}

function sameAuthority(one: string, other: string): boolean {
  if (one === other) return true;
  const [left, right] = [parseAuthority(one), parseAuthority(other)];
  return left !== undefined && right !== undefined && left.host === right.host && left.port === right.port;
}
