import type { ErrorCause } from "../errors.ts";

/**
 * Maximum interim (1xx) responses to one request. A client must be able to read any that it did not ask for (RFC 9110
 * §15.2), but an upstream that sends them without end never answers: above this, its response is malformed.
 */
export const maxInterimResponses = 100;

/**
 * Why an upstream may not send this interim response, the `count`th to a request; undefined if it may. A 100 may be
 * unsolicited, and so may unknown ones (RFC 9110 §15.2). A 101 was never asked for.
 */
export function interimFault(status: number, count: number): ErrorCause<"upstream-malformed"> | undefined {
  if (status < 100) return "invalid-status";
  if (status === 101) return "unasked-upgrade";
  return count > maxInterimResponses ? "too-many-interim-responses" : undefined;
}
