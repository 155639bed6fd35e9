import type { CompiledConfig, RouteSpec } from "../config/compiled-config.ts";
import { type AttributeType, type AttributeValue, canonicalText, type Facts } from "../decide/facts.ts";
import { parseAuthority } from "../http/authority.ts";
import { removeFields, skipBlanks, skipBlanksBack } from "../http/header-fields.ts";
import { normalPath } from "../http/path.ts";
import {
  changePath,
  type HeaderEditsSpec,
  type RewriteSpec,
  type Template,
  type TemplateFact,
} from "../route/route-spec.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Service, ServiceVersion } from "./service.ts";

/** By the index of the version that serves. */
type EditsByVersion = readonly (HeaderEdits | undefined)[];

/** What a route, and the version that serves, do to requests and responses beyond forwarding them. Made once a snapshot. */
export class RouteTransforms {
  readonly rewrite: Rewrite | undefined;
  readonly #request: EditsByVersion;
  readonly #response: EditsByVersion;

  private constructor(rewrite: Rewrite | undefined, request: EditsByVersion, response: EditsByVersion) {
    this.rewrite = rewrite;
    this.#request = request;
    this.#response = response;
  }

  /** Undefined where there is nothing to do, so that a request pays nothing. */
  static of(
    { headers, rewrite }: RouteSpec,
    service: Service,
    { versionEdits }: CompiledConfig,
  ): RouteTransforms | undefined {
    const own = versionEdits.filter((edits) => edits.service === service.name);
    const editsOf = (message: "request" | "response"): EditsByVersion =>
      Array.from(service.versions.keys(), (name) =>
        combinedEdits(headers[message], own.find(({ version }) => version === name)?.[message]),
      );
    const [request, response] = [editsOf("request"), editsOf("response")];
    if (rewrite === undefined && [...request, ...response].every((edits) => edits === undefined)) return undefined;
    return new RouteTransforms(rewrite && new Rewrite(rewrite), request, response);
  }

  editsOf(message: "request" | "response", { index }: ServiceVersion): HeaderEdits | undefined {
    return message === "request" ? this.#request[index] : this.#response[index];
  }

  /** The fields of a request, or of a copy, as they go to an endpoint of this version. */
  requestFields(
    fields: readonly string[],
    exchange: TransformedRequest,
    version: ServiceVersion,
    endpoint: Endpoint | undefined,
  ): string[] {
    const out = [...fields];
    if (this.rewrite?.spec.host !== undefined && exchange.head.authority !== "") {
      // The Host comes first, and is the only one.
      out[1] = this.rewrite.host(exchange.head.authority, endpoint);
    }
    this.editsOf("request", version)?.apply(out, exchange, version.name);
    return out;
  }

  /** Changes the fields of a response that pass, in place. */
  changeResponse(fields: string[], exchange: TransformedRequest): void {
    if (this.rewrite !== undefined) {
      for (let i = 0; i < fields.length; i += 2) {
        fields[i + 1] = this.rewrite.mapBack(fields[i] ?? "", fields[i + 1] ?? "", exchange);
      }
    }
    const served = exchange.attempts?.served;
    if (served !== undefined) this.editsOf("response", served)?.apply(fields, exchange, served.name);
  }
}

/** The edits of a route and of the version that serves, as one. Prepared once a snapshot. */
export class HeaderEdits {
  /** Names, in lower case. */
  readonly removed: readonly string[];
  readonly #added: readonly { readonly name: string; readonly text: TemplateText }[];

  constructor(spec: HeaderEditsSpec) {
    this.removed = spec.removed;
    this.#added = spec.added.map(({ name, value }) => ({ name, text: compileTemplateText(value) }));
  }

  /** What is added, and undefined where a fact is not known. */
  values(source: TemplateSource, version: string): (readonly [name: string, value: string | undefined])[] {
    return this.#added.map(({ name, text }) => [name, text(source, version)]);
  }

  /** Edits a flat list (name, value, name, value) in place. */
  apply(fields: string[], source: TemplateSource, version: string): void {
    removeFields(fields, this.removed);
    for (const { name, text } of this.#added) {
      const value = text(source, version);
      if (value !== undefined) fields.push(name, value);
    }
  }
}

/** What comes of a route's edits and then a version's; undefined where there are none. */
function combinedEdits(
  route: HeaderEditsSpec | undefined,
  version: HeaderEditsSpec | undefined,
): HeaderEdits | undefined {
  if (route === undefined || version === undefined) {
    const only = route ?? version;
    return only && new HeaderEdits(only);
  }
  const removed = new Set(version.removed);
  const kept = route.added.filter(({ name }) => !removed.has(name));
  return new HeaderEdits({
    removed: [...new Set([...route.removed, ...removed])],
    added: [...kept, ...version.added],
  });
}

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
  mapBack(name: string, value: string, exchange: TransformedRequest): string {
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

  #location(value: string, exchange: TransformedRequest): string {
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
  #isUpstream(authority: string, exchange: TransformedRequest): boolean {
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

/** What may not stand in a field's value (RFC 9110 §5.5): any control character but the tab. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const control = /[\0-\x08\x0a-\x1f\x7f]/;
const beyondAscii = /[^\0-\x7f]/;

/** A request whose head and response are transformed; an exchange is one. */
export interface TransformedRequest extends TemplateSource {
  readonly head: { readonly host: string; readonly authority: string };
  readonly facts: Pick<Facts, "attribute"> & { readonly isHttps: boolean };
  /** Undefined before the request is forwarded. */
  readonly attempts: { readonly served: ServiceVersion; readonly endpoint: Endpoint | undefined } | undefined;
}

/** Where a template's facts come from; an exchange is one. */
export interface TemplateSource {
  readonly snapshot: { readonly config: Pick<CompiledConfig, "attributes"> };
  readonly facts: Pick<Facts, "attribute">;
  readonly head: { readonly host: string };
  readonly path: string;
  readonly routeName: string;
  readonly serviceName: string | undefined;
  readonly releaseName: string | undefined;
  readonly requestId: string;
  readonly clientAddressText: string;
}

/** A header's value for one request, as bytes, for the version that serves it; undefined where there is none. */
export type TemplateText = (source: TemplateSource, version: string) => string | undefined;

/**
 * Compiles a template. Its text is undefined where a fact in it is not known, and where what a client sent can not stand
 * in a header: whoever wrote `%0d%0a` in a query may not add a header of his own.
 */
function compileTemplateText(template: Template): TemplateText {
  const parts = template.map((part) => (typeof part === "string" ? part : reader(part)));
  if (parts.every((part) => typeof part === "string")) {
    const text = trimmed(parts.join(""));
    return () => text;
  }
  return (source, version) => {
    let text = "";
    for (const part of parts) {
      const piece = typeof part === "string" ? part : part(source, version);
      if (piece === undefined || piece === "" || control.test(piece)) return undefined;
      text +=
        beyondAscii.test(piece) && typeof part !== "string" ? Buffer.from(piece, "utf8").toString("latin1") : piece;
    }
    return trimmed(text);
  };
}

/** Blanks around a value are not part of it. */
function trimmed(text: string): string {
  const start = skipBlanks(text, 0);
  return text.slice(start, Math.max(start, skipBlanksBack(text, text.length)));
}

/** A fact as text; undefined or empty where it is not known. */
function reader(fact: TemplateFact): TemplateText {
  switch (fact.kind) {
    case "attribute": {
      const { index } = fact;
      return ({ facts, snapshot }) => {
        const value = facts.attribute(index);
        const type = snapshot.config.attributes[index]?.type ?? "string";
        return value === undefined ? undefined : String(plainValue(type, value));
      };
    }
    case "version":
      return (_source, version) => version;
    case "route":
      return ({ routeName }) => routeName;
    case "service":
      return ({ serviceName }) => serviceName;
    case "release":
      return ({ releaseName }) => releaseName;
    case "requestId":
      return ({ requestId }) => requestId;
    case "clientAddress":
      return ({ clientAddressText }) => clientAddressText;
    case "host":
      return ({ head }) => head.host;
    case "path":
      return ({ path }) => path;
  }
}

/** An attribute's value as JSON can hold it: times in RFC 3339, versions and addresses as their text. */
export type PlainValue = string | number | boolean;

/** The furthest that a JavaScript Date reaches. */
const furthestMs = 8.64e15;

export function plainValue(type: AttributeType, value: AttributeValue): PlainValue {
  if (type === "time" && typeof value === "number" && Math.abs(value) <= furthestMs) {
    return new Date(value).toISOString();
  }
  return typeof value === "object" ? canonicalText(value) : value;
}
