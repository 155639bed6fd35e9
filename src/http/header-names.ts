/**
 * Which header fields belong to one connection, which the proxy writes itself, and which no configuration may touch: the
 * one place for these lists. Names are in lower case.
 */

/** Fields about one connection or its framing, in either direction (RFC 9110 §7.6.1), with the older names still seen. */
const connectionFields = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
] as const;

/** Never sent upstream: `Expect` is answered here, and request trailers are dropped. */
export const requestHopByHop: readonly string[] = [
  ...connectionFields,
  "proxy-authenticate",
  "proxy-authorization",
  "http2-settings",
  "expect",
];

/** Never sent to the client. `Trailer` is, where trailers may follow. */
export const responseHopByHop: readonly string[] = [
  ...connectionFields.filter((name) => name !== "trailer"),
  "proxy-authenticate",
];

/** What a response grants to pages of other origins (Fetch §3.3.3). */
export const corsResponseFields: readonly string[] = [
  "access-control-allow-credentials",
  "access-control-allow-headers",
  "access-control-allow-methods",
  "access-control-allow-origin",
  "access-control-expose-headers",
  "access-control-max-age",
];

/**
 * Whether one kind of cache obeys this response field instead of Cache-Control: `…-Cache-Control` of RFC 9213, and some
 * older ones. `name`: in lower case.
 */
export function isTargetedCacheControl(name: string): boolean {
  return name.endsWith("-cache-control") || olderTargetedFields.has(name);
}

const olderTargetedFields: ReadonlySet<string> = new Set(["surrogate-control", "edge-control", "x-accel-expires"]);

/** What a proxy says of the request's way to it. */
export const forwardingFields: readonly string[] = [
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-request-id",
];

/** W3C Trace Context. */
export const traceFields: readonly string[] = ["traceparent", "tracestate"];

/** Fields that may not follow the body, since they frame, route or modify the message (RFC 9110 §6.5.1). */
export const forbiddenInTrailers: ReadonlySet<string> = new Set([
  ...responseHopByHop,
  "trailer",
  "content-length",
  "content-encoding",
  "content-type",
  "content-range",
  "host",
  "set-cookie",
  "cache-control",
]);

const framing: ReadonlySet<string> = new Set([
  ...connectionFields,
  ...forwardingFields,
  "content-length",
  "content-type",
  "cookie",
  "expect",
  "host",
]);

/** Whether a request cannot do without this field, or Perch writes it: no attribute, token or override may be read from it. */
export function isFramingHeader(name: string): boolean {
  return framing.has(name);
}

/** A request field about its connection or framing. */
export function isRequestFraming(name: string): boolean {
  return uneditable.has(name);
}

/**
 * The name that CGI, WSGI, Rack and PHP give a field: they read every character but letters and digits as the same, so
 * that `X_Forwarded_For` and `x.forwarded.for` are `X-Forwarded-For`. `name`: in lower case.
 */
export function foldedName(name: string): string {
  return name.replace(/[^a-z0-9]/g, "-");
}

const uneditable: ReadonlySet<string> = new Set([...requestHopByHop, "content-length"]);

/** Why no configuration may edit this field; undefined where it may. */
export function whyProtected(name: string, message: "request" | "response"): string | undefined {
  if (uneditable.has(name)) return "it frames the message or belongs to one connection, and each hop has its own";
  if (name.startsWith("x-perch-")) return "Perch alone writes it";
  if (message === "response") return name === "date" ? "Perch alone writes it where the upstream does not" : undefined;
  if (name === "host") return "the upstream's host is chosen by rewrite.host";
  if (name === "cookie") return "Perch withholds its own cookies in it, and passes all others";
  if (forwardingFields.includes(name)) return "Perch writes it from what it knows of the way that the request came";
  return undefined;
}
