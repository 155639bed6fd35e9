/** Headers that a request can not do without, or that Perch writes itself: nothing may be configured to take them out. */
const framing = new Set([
  "connection",
  "content-length",
  "content-type",
  "cookie",
  "expect",
  "forwarded",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-request-id",
]);

/** Takes a name in lower case. */
export function isFramingHeader(name: string): boolean {
  return framing.has(name);
}

/** Fields that belong to a connection or frame its messages: each hop has its own. */
const ofTheConnection: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const ofTheWay: ReadonlySet<string> = new Set([
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-request-id",
]);

/** Why no configuration may edit this field; undefined where it may. Takes a name in lower case. */
export function whyProtected(name: string, message: "request" | "response"): string | undefined {
  if (ofTheConnection.has(name)) return "it frames the message or belongs to one connection, and each hop has its own";
  if (name.startsWith("x-perch-")) return "Perch alone writes it";
  if (message === "response") return name === "date" ? "Perch alone writes it where the upstream does not" : undefined;
  if (name === "host") return "the upstream's host is chosen by rewrite.host";
  if (name === "cookie") return "Perch withholds its own cookies in it, and passes all others";
  return ofTheWay.has(name) ? "Perch writes it from what it knows of the way that the request came" : undefined;
}
