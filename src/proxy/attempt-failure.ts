import { type ErrorCause, type ErrorCode, PerchError } from "../errors.ts";

/** How an attempt to get a response from an endpoint failed. */
export type AttemptFailure = Extract<
  ErrorCode,
  | "connect-failed"
  | "connect-timeout"
  | "tls-failed"
  | "upstream-reset"
  | "upstream-timeout"
  | "upstream-malformed"
  | "upstream-refused"
>;

const attemptFailures: ReadonlySet<ErrorCode> = new Set<AttemptFailure>([
  "connect-failed",
  "connect-timeout",
  "tls-failed",
  "upstream-reset",
  "upstream-timeout",
  "upstream-malformed",
  "upstream-refused",
]);

export function isAttemptFailure(code: ErrorCode): code is AttemptFailure {
  return attemptFailures.has(code);
}

/** The error of a response that is not valid HTTP. */
export function malformed(cause: ErrorCause<"upstream-malformed">): PerchError {
  return new PerchError("upstream-malformed", cause);
}

/** Failures before anything was sent: the endpoint has not seen the request. */
export const unreached: ReadonlySet<AttemptFailure> = new Set(["connect-failed", "connect-timeout", "tls-failed"]);

/** Maximum length of the chain of `cause`s that is searched. */
const maxCauses = 5;

/**
 * Why an attempt failed: the cause that a PerchError names, or the innermost system or TLS error code, such as
 * `ECONNREFUSED` or `CERT_HAS_EXPIRED`.
 */
export function causeOf(error: unknown): string | undefined {
  let found: string | undefined;
  let current = error;
  for (let depth = 0; current instanceof Error && depth < maxCauses; depth++) {
    if (!(current instanceof PerchError) && "code" in current && typeof current.code === "string") found = current.code;
    current = current.cause;
  }
  return typeof current === "string" ? current : found;
}

/** Out of file descriptors, ports or memory (connect(2), socket(2)). */
const exhaustionCodes: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"]);

/** Whether a connection failed because this process or machine is out of resources. No endpoint is ejected for that. */
export function isResourceExhaustion(error: Error & { readonly code?: unknown }): boolean {
  return exhaustionCodes.has(error.code);
}
