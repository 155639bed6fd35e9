import { connectionOptions, FieldKinds, removeFields } from "../http/header-fields.ts";
import { forbiddenInTrailers, responseHopByHop } from "../http/header-names.ts";
import type { Exchange } from "./exchange.ts";

const dropped: ReadonlySet<string> = new Set(responseHopByHop);

export type TrailerPlan = "trailers may follow" | "no trailers";

/** What a field of the upstream's response is to Perch. */
export type ResponseField =
  | "keep"
  | "drop"
  | "connection"
  | "trailer"
  | "cache-control"
  | "targeted-cache-control"
  | "version";

/** By lower-case name. */
export function responseField(name: string): ResponseField {
  if (name === "connection" || name === "cache-control" || name === "trailer") return name;
  if (name === "x-perch-version") return "version";
  if (name.endsWith("cdn-cache-control") || name === "surrogate-control") return "targeted-cache-control";
  return dropped.has(name) ? "drop" : "keep";
}

const fields = new FieldKinds<ResponseField>(responseField);

/** What Perch changes in one response. */
export interface ResponseEdit {
  /** The pin to set; undefined where none is. */
  readonly setCookie: string | undefined;
  /** The version served, where it is told; then the upstream's own word for it goes. */
  readonly exposedVersion: string | undefined;
}

export function responseEdit(exchange: Exchange): ResponseEdit {
  const { exposeVersion } = exchange.snapshot.config;
  return { setCookie: exchange.setCookie(), exposedVersion: exposeVersion ? exchange.servedVersion : undefined };
}

/** Whether a field goes to the client as it came. */
export function passes(
  field: ResponseField,
  { setCookie, exposedVersion }: ResponseEdit,
  trailers: TrailerPlan,
): boolean {
  switch (field) {
    case "keep":
      return true;
    case "trailer":
      return trailers === "trailers may follow";
    case "version":
      return exposedVersion === undefined;
    // RFC 9213: a targeted field outranks Cache-Control for the caches it names, so a private answer may not keep it.
    case "targeted-cache-control":
    case "cache-control":
      return setCookie === undefined;
    case "connection":
    case "drop":
      return false;
  }
}

/** Appends what Perch adds; `cacheControl` is what the upstream said in fields that did not pass. */
export function addResponseFields(
  { setCookie, exposedVersion }: ResponseEdit,
  cacheControl: string | undefined,
  out: string[],
): void {
  if (setCookie !== undefined) out.push("Cache-Control", privateCacheControl(cacheControl), "Set-Cookie", setCookie);
  if (exposedVersion !== undefined) out.push("x-perch-version", exposedVersion);
}

/**
 * The response's header fields as the client gets them, flat: name, value, name, value. The upstream's come first, in
 * their order and case, then what Perch adds.
 */
export function responseHeaders(exchange: Exchange, upstream: readonly string[], trailers: TrailerPlan): string[] {
  const edit = responseEdit(exchange);
  const out: string[] = [];
  const named: string[] = [];
  let cacheControl: string | undefined;
  for (let i = 0; i < upstream.length; i += 2) {
    const name = upstream[i] ?? "";
    const value = upstream[i + 1] ?? "";
    const field = fields.of(name);
    if (passes(field, edit, trailers)) out.push(name, value);
    else if (field === "connection") named.push(...connectionOptions(value).filter((name) => !ownField.has(name)));
    else if (field === "cache-control") cacheControl = cacheControl === undefined ? value : `${cacheControl}, ${value}`;
  }
  removeFields(out, named);
  const work = exchange.route?.transforms;
  if (work !== undefined) {
    if (cacheControl !== undefined) out.push("Cache-Control", cacheControl);
    work.changeResponse(out, exchange);
    if (edit.setCookie !== undefined) cacheControl = takeCacheControl(out);
  }
  addResponseFields(edit, cacheControl, out);
  return out;
}

/** Takes out what a route's edits say to caches, where a pin has to have its own say. */
function takeCacheControl(out: string[]): string | undefined {
  let said: string | undefined;
  for (let i = out.length - 2; i >= 0; i -= 2) {
    const field = fields.of(out[i] ?? "");
    if (field !== "cache-control" && field !== "targeted-cache-control") continue;
    const [, value = ""] = out.splice(i, 2);
    if (field === "cache-control") said = said === undefined ? value : `${value}, ${said}`;
  }
  return said;
}

/** What no Connection field can take away: what frames the message, and what the client's side would only write anew. */
const ownField: ReadonlySet<string> = new Set(["content-length", "date"]);

/** The response's trailer fields as the client gets them, in pairs. */
export function responseTrailers(upstream: readonly string[]): [string, string][] {
  const out: [string, string][] = [];
  for (let i = 0; i < upstream.length; i += 2) {
    const name = upstream[i] ?? "";
    if (!forbiddenInTrailers.has(name.toLowerCase())) out.push([name, upstream[i + 1] ?? ""]);
  }
  return out;
}

/**
 * Cache-Control for an answer that carries a Set-Cookie of ours: `private`, so that no shared cache hands one user's
 * pin to another (RFC 9111 §5.2.2.7). Its own directives are kept, save `public`, which would contradict it.
 */
export function privateCacheControl(value: string | undefined): string {
  if (value === undefined || value.trim() === "") return "private";
  const directives = splitDirectives(value);
  const names = directives.map((directive) => directive.toLowerCase());
  if (names.includes("private") || names.includes("no-store")) return value;
  return [...directives.filter((_, index) => names[index] !== "public"), "private"].join(", ");
}

/** Splits at commas outside quoted strings: `no-cache="a, b"` is one directive. */
function splitDirectives(value: string): string[] {
  const parts = value.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g) ?? [];
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

/** One link with parameters of simple values (RFC 8288 §3): what node:http agrees to send as well. */
const plainLink = /^<[^<>]*>(?:\s*;\s*[^;"\s=]+(?:=(?:"[^;"\s]*"|[^;"\s]*))?)*$/;

/**
 * The links of an upstream's 103 (RFC 8297) that a client gets, from the response's fields in a flat list. Empty where
 * there are none, or where one of them is of a form that not everybody reads alike: the final answer says it again.
 */
export function earlyHintLinks(fields: readonly string[]): readonly string[] {
  const links: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() === "link") links.push(...linkValues(fields[i + 1] ?? ""));
  }
  return links.every((link) => plainLink.test(link)) ? links : [];
}

/** Link values, split at the commas that stand outside `<…>` and quotes. */
function linkValues(line: string): string[] {
  const values = line.match(/(?:<[^>]*>|"(?:[^"\\]|\\.)*"|[^,<"])+/g) ?? [];
  return values.map((value) => value.trim()).filter((value) => value !== "");
}
