import { parseAuthority } from "../identify/authority.ts";
import { normalPath } from "../identify/normal-path.ts";
import { changePath } from "../route/path-change.ts";
import type { RewriteSpec } from "../route/rewrite-spec.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Exchange } from "./exchange.ts";

/** A route's change of addresses: of requests on their way upstream, and of what responses say of them on the way back. */
export class Rewrite {
  readonly spec: RewriteSpec;

  constructor(spec: RewriteSpec) {
    this.spec = spec;
  }

  /**
   * The path that goes upstream. Undefined where a pattern's replacement made one that routes let nothing through with:
   * what was cut out of a client's path may not become dots.
   */
  path(path: string): string | undefined {
    const { path: change } = this.spec;
    if (change === undefined) return path;
    if (change.kind !== "regex") return changePath(change, path);
    const replaced = change.pattern.replace(path);
    return replaced.startsWith("/") ? normalPath(replaced) : undefined;
  }

  /** The Host that goes upstream. */
  host(asked: string, endpoint: Endpoint | undefined): string {
    const { host } = this.spec;
    if (host === undefined) return asked;
    return host.kind === "text" ? host.text : endpoint === undefined ? asked : nameOf(endpoint);
  }

  /** Maps what a response's field says of the upstream's addresses back to what the client knows; else its value. */
  mapBack(name: string, value: string, exchange: Exchange): string {
    switch (name.toLowerCase()) {
      case "location":
      case "content-location":
        return this.#location(value, exchange);
      case "set-cookie":
        return this.#cookie(value);
      default:
        return value;
    }
  }

  #location(value: string, exchange: Exchange): string {
    if (value.startsWith("/") && !value.startsWith("//")) return this.#clientPath(value);
    const [, scheme, authority = "", rest = ""] = /^(https?):\/\/([^/?#]*)(.*)$/is.exec(value) ?? [];
    if (scheme === undefined || !this.#isUpstream(authority, exchange)) return value;
    const path = this.#clientPath(rest.startsWith("/") ? rest : `/${rest}`);
    const asked = exchange.head.authority;
    // The upstream knew the client's own host, so that the scheme that it names is meant.
    if (sameAuthority(authority, asked)) return `${scheme}://${authority}${path}`;
    return asked === "" ? path : `${exchange.facts.isHttps ? "https" : "http"}://${asked}${path}`;
  }

  /** Whether this is how the upstream calls itself: by the Host that it got, or by its endpoint's name. */
  #isUpstream(authority: string, exchange: Exchange): boolean {
    const endpoint = exchange.attempts?.endpoint;
    if (sameAuthority(authority, this.host(exchange.head.authority, endpoint))) return true;
    return endpoint !== undefined && sameAuthority(authority, nameOf(endpoint));
  }

  /** Puts the client's prefix in place of the upstream's; what is not below that stays as it is. */
  #clientPath(path: string): string {
    const { path: change } = this.spec;
    if (change?.kind !== "prefix") return path;
    const end = path.search(/[?#]/);
    const bare = end === -1 ? path : path.slice(0, end);
    return changePath({ kind: "prefix", from: change.to, to: change.from }, bare) + path.slice(bare.length);
  }

  /** Below `/api/` the prefix `/api` itself would not be: the root becomes the prefix without a slash. */
  #cookiePath(path: string): string {
    const mapped = this.#clientPath(path);
    return path === "/" && mapped.length > 1 ? mapped.slice(0, -1) : mapped;
  }

  #cookie(line: string): string {
    const { path: change, cookieDomain } = this.spec;
    const parts: string[] = [];
    for (const [index, part] of line.split(";").entries()) {
      const [, attribute = "", value = ""] = /^\s*(path|domain)\s*=\s*(.*)$/i.exec(part) ?? [];
      const kind = index === 0 ? "" : attribute.toLowerCase();
      if (kind === "path" && change?.kind === "prefix")
        parts.push(` ${attribute}=${this.#cookiePath(value.trimEnd())}`);
      else if (kind !== "domain" || cookieDomain === undefined) parts.push(part);
      else if (cookieDomain !== "none") parts.push(` ${attribute}=${cookieDomain}`);
    }
    return parts.join(";");
  }
}

const defaultPorts = { http: 80, https: 443 } as const;

/** An endpoint's name as a Host: its port only where it is not its scheme's own. */
function nameOf({ address: { host, place, scheme } }: Endpoint): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return "path" in place || place.port === defaultPorts[scheme] ? name : `${name}:${place.port}`;
}

function sameAuthority(one: string, other: string): boolean {
  if (one === other) return true;
  const [left, right] = [parseAuthority(one), parseAuthority(other)];
  return left !== undefined && right !== undefined && left.host === right.host && left.port === right.port;
}
