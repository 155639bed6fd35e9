/**
 * Every error that Perch answers or records, in one table. Callers match on `code`, never on the message or the class.
 */

/** Which side caused the error. */
export type ErrorSource = "client" | "upstream" | "perch";

export interface ErrorEntry {
  /** HTTP status of the local reply. 499 is only recorded: the client has gone. */
  readonly status: number;
  readonly source: ErrorSource;
  /** Sent to the client. Never contains an address, a stack or data from the request. */
  readonly message: string;
}

const entry = (status: number, source: ErrorSource, message: string): ErrorEntry =>
  Object.freeze({ status, source, message });

export const errorTable = Object.freeze({
  "bad-request": entry(400, "client", "The request is malformed."),
  "no-route": entry(404, "client", "No route matches this request."),
  "request-timeout": entry(408, "client", "The request did not arrive in time."),
  "body-too-large": entry(413, "client", "The request body is larger than this route allows."),
  "uri-too-long": entry(414, "client", "The request target is too long."),
  "expectation-failed": entry(417, "client", "The Expect header supports only 100-continue."),
  "rate-limited": entry(429, "client", "Too many requests. Try again later."),
  "headers-too-large": entry(431, "client", "The request headers are too large."),
  "client-closed": entry(499, "client", "The client closed the connection before the response was complete."),
  "internal-error": entry(500, "perch", "The proxy failed to handle this request."),
  fault: entry(503, "perch", "This error was injected by the configuration."),
  "connect-failed": entry(502, "upstream", "The proxy could not connect to the upstream."),
  "tls-failed": entry(502, "upstream", "The TLS handshake with the upstream failed."),
  "upstream-reset": entry(502, "upstream", "The upstream closed the connection before it responded."),
  "upstream-refused": entry(503, "upstream", "The upstream refused the request without processing it."),
  "upstream-malformed": entry(502, "upstream", "The upstream's response was not valid HTTP."),
  "no-websocket": entry(502, "upstream", "This service does not support WebSocket."),
  "no-healthy-endpoint": entry(503, "upstream", "No healthy endpoint is available for the requested version."),
  overloaded: entry(503, "perch", "The proxy is overloaded. Try again shortly."),
  "connect-timeout": entry(504, "upstream", "Connecting to the upstream timed out."),
  "upstream-timeout": entry(504, "upstream", "The upstream did not respond in time."),
});

/** The value of `x-perch-error`, and `error` in the access log. */
export type ErrorCode = keyof typeof errorTable;

/** An error that ends an exchange. Its cause is only logged, never sent to a peer. */
export class PerchError extends Error {
  override readonly name = "PerchError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, cause?: unknown) {
    super(errorTable[code].message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
