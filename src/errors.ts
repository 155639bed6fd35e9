/**
 * Every error that Perch answers or records itself, in one table. Callers match on `code`, never on text or class.
 */

/** Whose doing it was: decides who is told, and which metric it lands in. */
export type ErrorSource = "client" | "upstream" | "perch";

export interface ErrorEntry {
  /** HTTP status answered to the caller; 499 is recorded only, since nobody is left to read it. */
  readonly status: number;
  readonly source: ErrorSource;
  /** Whether the same request, sent again, may succeed. */
  readonly retryable: boolean;
  /** What the caller reads. Never an address, a stack or anything the caller sent. */
  readonly message: string;
}

const entry = (status: number, source: ErrorSource, retryable: boolean, message: string): ErrorEntry =>
  Object.freeze({ status, source, retryable, message });

export const errorTable = Object.freeze({
  "bad-request": entry(400, "client", false, "The request is malformed."),
  "no-route": entry(404, "client", false, "No route matches this request."),
  "request-timeout": entry(408, "client", true, "The request did not arrive in time."),
  "body-too-large": entry(413, "client", false, "The request body is larger than this route allows."),
  "uri-too-long": entry(414, "client", false, "The request's target is too long."),
  "expectation-failed": entry(417, "client", false, "The expectation in the Expect header cannot be met."),
  "rate-limited": entry(429, "client", true, "Too many requests. Try again later."),
  "headers-too-large": entry(431, "client", false, "The request's header section is too large."),
  "client-closed": entry(499, "client", true, "The client closed the connection before the answer was complete."),
  "internal-error": entry(500, "perch", false, "The proxy failed to handle this request."),
  fault: entry(503, "perch", true, "This error was configured to happen."),
  "connect-failed": entry(502, "upstream", true, "The upstream could not be reached."),
  "tls-failed": entry(502, "upstream", true, "No secure connection to the upstream could be made."),
  "upstream-reset": entry(502, "upstream", true, "The upstream closed the connection before it answered."),
  "upstream-refused": entry(503, "upstream", true, "The upstream refused the request unread."),
  "upstream-malformed": entry(502, "upstream", false, "The upstream's answer was not valid HTTP."),
  "no-websocket": entry(502, "upstream", false, "This service is not to be had by WebSocket."),
  "no-healthy-endpoint": entry(503, "upstream", true, "No endpoint of the version asked for is available."),
  overloaded: entry(503, "perch", true, "The proxy is at its limit. Try again shortly."),
  "connect-timeout": entry(504, "upstream", true, "The upstream could not be reached in time."),
  "upstream-timeout": entry(504, "upstream", true, "The upstream did not answer in time."),
});

/** The value of `x-perch-error`, and the `error` of an access log line. */
export type ErrorCode = keyof typeof errorTable;

/** An error that ends an exchange. The cause is for the log only and never reaches a peer. */
export class PerchError extends Error {
  override readonly name = "PerchError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, cause?: unknown) {
    super(errorTable[code].message, cause === undefined ? undefined : { cause });
    this.code = code;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  get source(): ErrorSource {
    return errorTable[this.code].source;
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }
}
