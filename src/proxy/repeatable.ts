import type { AttemptFailure } from "./attempts.ts";

/** Whether the request's body can be sent from its start: there is none, none of it was sent, or all that was is kept. */
export type BodyState = "at hand" | "gone";

/** May be sent again although it is unknown whether the first was carried out (RFC 9110 §9.2.2). */
const idempotentMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

export function isIdempotent(method: string): boolean {
  return idempotentMethods.has(method);
}

/**
 * Whether a failed attempt may be repeated. Was anything sent? If so, only what is harmless to do twice, and needs no body
 * that is already gone.
 */
export function isRepeatable(failure: AttemptFailure, method: string, body: BodyState): boolean {
  if (body === "gone") return false;
  if (failure === "connect-failed" || failure === "connect-timeout" || failure === "tls-failed") return true;
  if (failure === "upstream-refused") return true;
  return failure === "upstream-reset" && isIdempotent(method);
}
