import type { AttemptFailure } from "./attempts.ts";

/** May be sent again although it is unknown whether the first was carried out (RFC 9110 §9.2.2). */
const idempotentMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/**
 * Whether a failed attempt may be repeated. Was anything sent? If so, only what is harmless to do twice, and needs no body
 * that is already gone.
 */
export function isRepeatable(failure: AttemptFailure, method: string, body: "none or untouched" | "begun"): boolean {
  if (body === "begun") return false;
  if (failure === "connect-failed" || failure === "connect-timeout" || failure === "upstream-refused") return true;
  return failure === "upstream-reset" && idempotentMethods.has(method);
}
