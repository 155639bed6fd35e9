import { connectionOptions, FieldKinds, removeFields } from "../http/header-fields.ts";
import { forbiddenInTrailers, isTargetedCacheControl, responseHopByHop } from "../http/header-names.ts";
import type { Exchange } from "./exchange.ts";

export type TrailerPlan = "trailers may follow" | "no trailers";

/** How Perch treats a response field of the upstream. */
export type ResponseField =
  | "keep"
  | "drop"
  | "connection"
  | "trailer"
  | "length"
  | "cache-control"
  | "expires"
  | "targeted-cache-control"
  | "version";

/**
 * Whether a response is kept out of shared caches. `if explicit`: only if it states how long it may be stored, since
 * without that no cache keeps a response to such a method.
 */
export type ResponsePrivacy = "always" | "if explicit" | "none";

/** The fields that Perch sets in one response. */
export interface ResponseEdit {
  readonly privacy: ResponsePrivacy;
  /** The pin to set, if any. */
  readonly setCookie: string | undefined;
  /** The served version, if `exposeVersion` is on. It replaces the upstream's `x-perch-version`. */
  readonly exposedVersion: string | undefined;
  /** Whether the upstream's Content-Length may be passed on. */
  readonly mayHaveLength: boolean;
}

/**
 * The response's header fields for the client, flat: name, value, name, value. The upstream's fields come first, in their
 * order and case, then those that Perch sets.
 */
export function responseHeaders(
  exchange: Exchange,
  status: number,
  upstream: readonly string[],
  trailers: TrailerPlan,
): string[] {
  const edit = responseEdit(exchange, status);
  const out: string[] = [];
  const named: string[] = [];
  let cacheControl: string | undefined;
  let expires = false;
  for (let i = 0; i < upstream.length; i += 2) {
    const name = upstream[i] ?? "";
    const value = upstream[i + 1] ?? "";
    const field = fields.of(name);
    if (field === "expires") expires = true;
    if (passes(field, edit, trailers)) out.push(name, value);
    else if (field === "connection") named.push(...connectionOptions(value).filter((name) => !unremovable.has(name)));
    else if (field === "cache-control") cacheControl = cacheControl === undefined ? value : `${cacheControl}, ${value}`;
  }
  removeFields(out, named);
  const transforms = exchange.route?.transforms;
  if (transforms !== undefined) {
    if (cacheControl !== undefined) out.push("Cache-Control", cacheControl);
    transforms.applyToResponse(out, exchange);
    if (edit.privacy !== "none") {
      cacheControl = takeCacheControl(out);
      expires = out.some((name, at) => at % 2 === 0 && fields.of(name) === "expires");
    }
  }
  addResponseFields(edit, cacheControl, expires, out);
  return out;
}

/** Whether a response has no body, whatever its fields say (RFC 9110 §6.4.1). */
export function isBodiless(status: number, method: string): boolean {
  return method === "HEAD" || status === 204 || status === 304;
}

/** Fields that Connection cannot remove: framing, and Date, which the client side would only add again. */
const unremovable: ReadonlySet<string> = new Set(["content-length", "date"]);

export function responseEdit(exchange: Exchange, status: number): ResponseEdit {
  const { exposeVersion } = exchange.snapshot.config;
  const setCookie = exchange.setCookie();
  const privacy = privacyOf(exchange.route?.isPrivate === true, setCookie, exchange.method);
  // RFC 9110 §8.6.
  const mayHaveLength = status >= 200 && status !== 204;
  if (setCookie === undefined && !exposeVersion) return usualEdits[privacy][mayHaveLength ? 1 : 0];
  return { privacy, setCookie, exposedVersion: exposeVersion ? exchange.servedVersion : undefined, mayHaveLength };
}

/** Without a pin and without the version: without a length and with it. Most responses, so none makes its own. */
const usualEdits = {
  always: usualEdit("always"),
  "if explicit": usualEdit("if explicit"),
  none: usualEdit("none"),
} as const satisfies Record<ResponsePrivacy, unknown>;

function usualEdit(privacy: ResponsePrivacy): readonly [ResponseEdit, ResponseEdit] {
  const edit = { privacy, setCookie: undefined, exposedVersion: undefined };
  return [
    { ...edit, mayHaveLength: false },
    { ...edit, mayHaveLength: true },
  ];
}

/** `isPrivate`: whether a release chose the version, on a route whose responses shared caches may not keep. */
export function privacyOf(isPrivate: boolean, setCookie: string | undefined, method: string): ResponsePrivacy {
  if (setCookie !== undefined) return "always";
  if (!isPrivate) return "none";
  return isStored(method) ? "always" : "if explicit";
}

/** Whether caches may store responses to this method that do not say so (RFC 9111 §4.2.2). */
function isStored(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "QUERY";
}

/** Whether a field is forwarded to the client unchanged. */
export function passes(
  field: ResponseField,
  { privacy, exposedVersion, mayHaveLength }: ResponseEdit,
  trailers: TrailerPlan,
): boolean {
  switch (field) {
    case "keep":
    case "expires":
      return true;
    case "length":
      return mayHaveLength;
    case "trailer":
      return trailers === "trailers may follow";
    case "version":
      return exposedVersion === undefined;
    // RFC 9213: a targeted field overrides Cache-Control in the caches it names, so a private response must not keep it.
    case "targeted-cache-control":
    case "cache-control":
      return privacy === "none";
    case "connection":
    case "drop":
      return false;
  }
}

/**
 * Appends the fields that Perch sets. `cacheControl`: the upstream's value, if that was not forwarded; `expires`: whether
 * the upstream sent Expires.
 */
export function addResponseFields(
  { privacy, setCookie, exposedVersion }: ResponseEdit,
  cacheControl: string | undefined,
  expires: boolean,
  out: string[],
): void {
  if (privacy === "always" || (privacy === "if explicit" && (expires || cacheControl !== undefined))) {
    out.push("Cache-Control", privateCacheControl(cacheControl));
  }
  if (setCookie !== undefined) out.push("Set-Cookie", setCookie);
  if (exposedVersion !== undefined) out.push("x-perch-version", exposedVersion);
}

const dropped: ReadonlySet<string> = new Set(responseHopByHop);

/** `name`: in lower case. */
export function responseField(name: string): ResponseField {
  if (name === "connection" || name === "cache-control" || name === "expires" || name === "trailer") return name;
  if (name === "content-length") return "length";
  if (name === "x-perch-version") return "version";
  if (isTargetedCacheControl(name)) return "targeted-cache-control";
  return dropped.has(name) ? "drop" : "keep";
}

const fields = new FieldKinds<ResponseField>(responseField);

/** Bounds what upstreams can make the cache hold. */
const cachedValues = 256;
const cachedLength = 256;
const privateValues = new Map<string, string>();

/**
 * Cache-Control for a response that belongs to one user: `private`, so that no shared cache hands one user's pin or
 * version to another (RFC 9111 §5.2.2.7). The upstream's directives are kept, except `public` and `s-maxage`.
 */
export function privateCacheControl(value: string | undefined): string {
  if (value === undefined) return "private";
  const known = privateValues.get(value);
  if (known !== undefined) return known;
  const made = madePrivate(value);
  if (privateValues.size < cachedValues && value.length <= cachedLength) privateValues.set(value, made);
  return made;
}

function madePrivate(value: string): string {
  const directives = splitDirectives(value);
  const names = directives.map((directive) => directive.toLowerCase());
  const kept = directives.filter((_, at) => names[at] !== "public" && !names[at]?.startsWith("s-maxage"));
  if (names.includes("private") || names.includes("no-store")) {
    return kept.length === directives.length ? value : kept.join(", ");
  }
  // An unclosed quote would swallow what follows it.
  return (hasUnclosedQuote(value) ? ["private", ...kept] : [...kept, "private"]).join(", ");
}

function hasUnclosedQuote(value: string): boolean {
  return value.replace(/"(?:[^"\\]|\\.)*"/g, "").includes('"');
}

/** Splits at commas outside quoted strings: `no-cache="a, b"` is one directive. */
function splitDirectives(value: string): string[] {
  const parts = value.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g) ?? [];
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

/** Removes the caching fields that the route's edits set, because a private response needs its own. */
function takeCacheControl(out: string[]): string | undefined {
  let cacheControl: string | undefined;
  for (let i = out.length - 2; i >= 0; i -= 2) {
    const field = fields.of(out[i] ?? "");
    if (field !== "cache-control" && field !== "targeted-cache-control") continue;
    const [, value = ""] = out.splice(i, 2);
    if (field === "cache-control") cacheControl = cacheControl === undefined ? value : `${value}, ${cacheControl}`;
  }
  return cacheControl;
}

/** The response's trailer fields for the client, in pairs. */
export function responseTrailers(upstream: readonly string[]): [string, string][] {
  const out: [string, string][] = [];
  for (let i = 0; i < upstream.length; i += 2) {
    const name = upstream[i] ?? "";
    if (!forbiddenInTrailers.has(name.toLowerCase())) out.push([name, upstream[i + 1] ?? ""]);
  }
  return out;
}

/** A link whose parameters have simple values (RFC 8288 §3). node:http refuses to send others. */
const plainLink = /^<[^<>]*>(?:\s*;\s*[^;"\s=]+(?:=(?:"[^;"\s]*"|[^;"\s]*))?)*$/;

/**
 * The links of an upstream's 103 response (RFC 8297) to forward, from its flat fields. Empty if there are none, or if one
 * is ambiguous. Nothing is lost: the final response repeats them.
 */
export function earlyHintLinks(fields: readonly string[]): readonly string[] {
  const links: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() === "link") links.push(...linkValues(fields[i + 1] ?? ""));
  }
  return links.every((link) => plainLink.test(link)) ? links : [];
}

/** Splits at commas outside `<…>` and quotes. */
function linkValues(line: string): string[] {
  const values = line.match(/(?:<[^>]*>|"(?:[^"\\]|\\.)*"|[^,<"])+/g) ?? [];
  return values.map((value) => value.trim()).filter((value) => value !== "");
}
