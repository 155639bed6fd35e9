import { type ErrorCode, PerchError } from "../errors.ts";

/** How an attempt at an endpoint failed. */
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

/** Failures before anything was sent: the endpoint has not seen the request. */
export const unreached: ReadonlySet<AttemptFailure> = new Set(["connect-failed", "connect-timeout", "tls-failed"]);

/** How deep a chain of `cause`s is searched. */
const maxCauses = 5;

/** The innermost system or TLS error code, such as `ECONNREFUSED` or `CERT_HAS_EXPIRED`. For the log only. */
export function causeOf(error: unknown): string | undefined {
  let found: string | undefined;
  let at = error;
  for (let depth = 0; at instanceof Error && depth < maxCauses; depth++) {
    if (!(at instanceof PerchError) && "code" in at && typeof at.code === "string") found = at.code;
    at = at.cause;
  }
  return found;
}

/** No descriptor, port or memory is left for a connection (connect(2), socket(2)). */
const exhaustionCodes: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"]);

/** Whether this process or machine, not the endpoint, is the reason that no connection was made: no endpoint is ejected for it. */
export function isResourceExhaustion(error: Error & { readonly code?: unknown }): boolean {
  return exhaustionCodes.has(error.code);
}
