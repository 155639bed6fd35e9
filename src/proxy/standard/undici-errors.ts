import { PerchError } from "../../errors.ts";
import { type AttemptFailure, isAttemptFailure } from "../attempt-failure.ts";

/**
 * undici rejects the request before sending it. This is the client's error: counting it as the endpoint's failure would
 * let a client get endpoints ejected.
 */
export const unsendable: ReadonlySet<unknown> = new Set(["UND_ERR_INVALID_ARG", "UND_ERR_NOT_SUPPORTED"]);

/**
 * The failure of an attempt that ended with this error. `sent`: whether a connection was assigned to it before. Only
 * valid HTTP passes the `ResponseFilter`, so where undici finds a message malformed, the connection has ended within it.
 */
export function failureOf(error: Error, sent: boolean): AttemptFailure {
  if (error instanceof PerchError && isAttemptFailure(error.code)) return error.code;
  const code = codeOf(error);
  if (code === "UND_ERR_CONNECT_TIMEOUT" || (code === "ETIMEDOUT" && !sent)) return "connect-timeout";
  if (!sent) return "connect-failed";
  // In TLS 1.3 an endpoint verifies the client certificate after the request was sent, but before reading it.
  if (/^ERR_SSL_.*ALERT_.*(?:CERTIFICATE|UNKNOWN_CA)/.test(String(code))) return "tls-failed";
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") return "upstream-timeout";
  // ERR_…: node cannot write this response head to the client. A retry would most likely get the same.
  return String(code).startsWith("ERR_") ? "upstream-malformed" : "upstream-reset";
}

/** Whether undici closed a connection because bytes came while no request was in progress. */
export function isUnsolicited(error: Error): boolean {
  // A response has the same code as a socket error; only the message differs. Other bytes do not parse.
  return error.name === "HTTPParserError" || (codeOf(error) === "UND_ERR_SOCKET" && error.message === "bad response");
}

export function codeOf(error: Error & { code?: unknown }): unknown {
  return error.code;
}
