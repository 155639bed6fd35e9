import type { CompiledConfig, RouteSpec } from "../config/compiled-config.ts";
import { type AttributeType, type AttributeValue, canonicalText, type Facts } from "../decide/facts.ts";
import { removeFields, removeLookAlikes, skipBlanks, skipBlanksBack } from "../http/header-fields.ts";
import { foldedName } from "../http/header-names.ts";
import type { RequestHead } from "../http/request-head.ts";
import { localPath } from "../http/url-reference.ts";
import type { HeaderEditsSpec, Template, TemplateFact } from "../route/route-spec.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Cors } from "./cors.ts";
import { Rewrite } from "./rewrite.ts";
import type { Service, ServiceVersion } from "./service.ts";

/** A request whose head and response are transformed. Implemented by `Exchange`. */
export interface TransformedRequest extends TemplateSource {
  /** The rewritten path. */
  readonly upstreamPath: string | undefined;
  readonly head: Pick<RequestHead, "host" | "authority" | "header">;
  readonly facts: Pick<Facts, "attribute"> & { readonly isHttps: boolean };
  /** Undefined before the request is forwarded. */
  readonly attempts: { readonly served: ServiceVersion; readonly endpoint: Endpoint | undefined } | undefined;
  readonly forwardedPrefix: string | undefined;
}

/** The facts of a template. Implemented by `Exchange`. */
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

/**
 * The rewrite and CORS fields of a route, and the header edits of the route and of the served version. Built once per
 * snapshot.
 */
export class RouteTransforms {
  readonly rewrite: Rewrite | undefined;
  readonly #request: EditsByVersion;
  readonly #response: EditsByVersion;
  readonly #cors: Cors | undefined;

  private constructor(
    rewrite: Rewrite | undefined,
    request: EditsByVersion,
    response: EditsByVersion,
    cors: Cors | undefined,
  ) {
    this.rewrite = rewrite;
    this.#cors = cors;
    this.#request = request;
    this.#response = response;
  }

  /** Undefined if nothing is configured. */
  static of(
    { headers, rewrite }: RouteSpec,
    service: Service,
    { versionEdits, pathParameters }: CompiledConfig,
    cors: Cors | undefined,
  ): RouteTransforms | undefined {
    const own = versionEdits.filter((edits) => edits.service === service.name);
    const editsOf = (message: "request" | "response"): EditsByVersion =>
      Array.from(service.versions.keys(), (name) =>
        combinedEdits(message, headers[message], own.find(({ version }) => version === name)?.[message]),
      );
    const [request, response] = [editsOf("request"), editsOf("response")];
    const edits = [...request, ...response].filter((each) => each !== undefined);
    if (rewrite === undefined && cors === undefined && edits.length === 0) return undefined;
    return new RouteTransforms(rewrite && new Rewrite(rewrite, pathParameters), request, response, cors);
  }

  editsOf(message: "request" | "response", { index }: ServiceVersion): HeaderEdits | undefined {
    return message === "request" ? this.#request[index] : this.#response[index];
  }

  /** The transformed fields of a request, or of a mirrored request, for an endpoint of `version`. */
  requestFields(
    fields: readonly string[],
    exchange: TransformedRequest,
    version: ServiceVersion,
    endpoint: Endpoint | undefined,
  ): string[] {
    const out = [...fields];
    if (this.rewrite?.spec.host !== undefined && exchange.head.authority !== "") {
      // `upstreamHeaders` puts Host first.
      out[1] = this.rewrite.host(exchange.head.authority, endpoint);
    }
    this.rewrite?.addPrefix(out, exchange.path, exchange.upstreamPath);
    this.editsOf("request", version)?.apply(out, exchange, version.name);
    return out;
  }

  /** Transforms the flat fields of a response in place. */
  applyToResponse(fields: string[], exchange: TransformedRequest): void {
    if (this.rewrite !== undefined) {
      for (let i = 0; i < fields.length; i += 2) {
        fields[i + 1] = this.rewrite.mapBack(fields[i] ?? "", fields[i + 1] ?? "", exchange);
      }
    }
    const served = exchange.attempts?.served;
    if (served !== undefined) this.editsOf("response", served)?.apply(fields, exchange, served.name);
    this.#cors?.applyToResponse(fields, exchange.head);
  }
}

/** Indexed by version. */
type EditsByVersion = readonly (HeaderEdits | undefined)[];

/** Header edits of a route merged with those of one version. Built once per snapshot. */
export class HeaderEdits {
  /** Lower-case names. */
  readonly removed: readonly string[];
  /** `foldedName` of the removed names, for requests. */
  readonly #lookAlikes: ReadonlySet<string> | undefined;
  readonly #added: readonly { readonly name: string; readonly text: TemplateText }[];

  constructor(message: "request" | "response", spec: HeaderEditsSpec) {
    this.removed = spec.removed;
    this.#lookAlikes = message === "request" ? new Set(spec.removed.map(foldedName)) : undefined;
    this.#added = spec.added.map(({ name, value }) => ({ name, text: compileTemplateText(message, value) }));
  }

  /** The added fields; the value is undefined if a fact of its template is unknown. */
  values(source: TemplateSource, version: string): (readonly [name: string, value: string | undefined])[] {
    return this.#added.map(({ name, text }) => [name, text(source, version)]);
  }

  /** Edits a flat list (name, value, name, value) in place. */
  apply(fields: string[], source: TemplateSource, version: string): void {
    removeFields(fields, this.removed);
    if (this.#lookAlikes !== undefined) removeLookAlikes(fields, this.#lookAlikes);
    for (const { name, text } of this.#added) {
      const value = text(source, version);
      if (value !== undefined) fields.push(name, value);
    }
  }
}

/** Merges edits so that the version's apply after the route's; undefined if there are none. */
function combinedEdits(
  message: "request" | "response",
  route: HeaderEditsSpec | undefined,
  version: HeaderEditsSpec | undefined,
): HeaderEdits | undefined {
  if (route === undefined || version === undefined) {
    const only = route ?? version;
    return only && new HeaderEdits(message, only);
  }
  const removed = new Set(version.removed);
  const kept = route.added.filter(({ name }) => !removed.has(name));
  return new HeaderEdits(message, {
    removed: [...new Set([...route.removed, ...removed])],
    added: [...kept, ...version.added],
  });
}

/** Renders the value of a field as latin1 bytes; undefined if the field is not added. */
type TemplateText = (source: TemplateSource, version: string) => string | undefined;

/** Control characters except tab, which a field value must not contain (RFC 9110 §5.5). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const controlCharacter = /[\0-\x08\x0a-\x1f\x7f]/;
const nonAscii = /[^\0-\x7f]/;

/**
 * Compiles a template. Its value is undefined if a fact is unknown or has control characters, so that a client cannot
 * inject a header, for example by `%0d%0a` in a query.
 */
function compileTemplateText(message: "request" | "response", template: Template): TemplateText {
  const parts = template.map((part) => (typeof part === "string" ? part : reader(message, part)));
  if (parts.every((part) => typeof part === "string")) {
    const text = trimmed(parts.join(""));
    return () => text;
  }
  return (source, version) => {
    let text = "";
    for (const part of parts) {
      const piece = typeof part === "string" ? part : part(source, version);
      if (piece === undefined || piece === "" || controlCharacter.test(piece)) return undefined;
      text += nonAscii.test(piece) && typeof part !== "string" ? Buffer.from(piece, "utf8").toString("latin1") : piece;
    }
    return trimmed(text);
  };
}

function trimmed(text: string): string {
  const start = skipBlanks(text, 0);
  return text.slice(start, Math.max(start, skipBlanksBack(text, text.length)));
}

/** Reads a fact as text; undefined or empty if unknown. */
function reader(message: "request" | "response", fact: TemplateFact): TemplateText {
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
      // A response may have it in a Location.
      return message === "request" ? ({ path }) => path : ({ path }) => localPath(path);
  }
}

/** An attribute's value for JSON: times in RFC 3339, semantic versions and addresses as text. */
export type PlainValue = string | number | boolean;

/** The range of a JavaScript Date. */
const maxDateMs = 8.64e15;

export function plainValue(type: AttributeType, value: AttributeValue): PlainValue {
  if (type === "time" && typeof value === "number" && Math.abs(value) <= maxDateMs) {
    return new Date(value).toISOString();
  }
  return typeof value === "object" ? canonicalText(value) : value;
}
