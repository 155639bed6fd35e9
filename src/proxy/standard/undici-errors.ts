import { type ErrorCause, PerchError } from "../../errors.ts";
import { type AttemptFailure, isAttemptFailure } from "../attempt-failure.ts";
import { responseCause } from "./parser-causes.ts";

/**
 * undici rejects the request before sending it. This is the client's error: counting it as the endpoint's failure would
 * let a client get endpoints ejected.
 */
export const unsendable: ReadonlySet<unknown> = new Set(["UND_ERR_INVALID_ARG", "UND_ERR_NOT_SUPPORTED"]);

const malformed: ReadonlySet<unknown> = new Set(["UND_ERR_HEADERS_OVERFLOW", "UND_ERR_RES_CONTENT_LENGTH_MISMATCH"]);

/** The failure of an attempt that ended with this error. `sent`: whether a connection was assigned to it before. */
export function failureOf(error: Error, sent: boolean): AttemptFailure {
  if (error instanceof PerchError && isAttemptFailure(error.code)) return error.code;
  const code = codeOf(error);
  if (code === "UND_ERR_CONNECT_TIMEOUT" || (code === "ETIMEDOUT" && !sent)) return "connect-timeout";
  if (!sent) return "connect-failed";
  // In TLS 1.3 an endpoint verifies the client certificate after the request was sent, but before reading it.
  if (/^ERR_SSL_.*ALERT_.*(?:CERTIFICATE|UNKNOWN_CA)/.test(String(code))) return "tls-failed";
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") return "upstream-timeout";
  if (isMalformedResponse(error)) return "upstream-malformed";
  // ERR_…: node cannot write this response head to the client. A retry would most likely get the same.
  if (malformed.has(code) || String(code).startsWith("ERR_")) return "upstream-malformed";
  return "upstream-reset";
}

/** Why undici rejected a response; undefined if it did not. */
export function malformedCause(error: Error): ErrorCause<"upstream-malformed"> | undefined {
  const code = codeOf(error);
  if (code === "UND_ERR_HEADERS_OVERFLOW") return "head-too-large";
  // Also of a head whose fault stands behind a Content-Length: undici then reports no other.
  if (code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH") return "wrong-length";
  if (code === "UND_ERR_SOCKET" && error.message === "bad upgrade") return "unasked-upgrade";
  return error.name === "HTTPParserError" ? responseCause(error) : undefined;
}

/** undici received bytes that are no response, or a response while no request was in progress. */
export function isMalformedResponse(error: Error): boolean {
  // An unexpected response has the same code as a socket error; only the message differs.
  return error.name === "HTTPParserError" || (codeOf(error) === "UND_ERR_SOCKET" && error.message.startsWith("bad "));
}

export function codeOf(error: Error & { code?: unknown }): unknown {
  return error.code;
}
