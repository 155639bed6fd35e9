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
