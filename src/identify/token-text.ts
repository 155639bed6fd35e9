import { findCookie } from "./cookies.ts";
import type { JwtSpec } from "./jwt-verifier.ts";
import type { RequestHead, repeated } from "./request-head.ts";

/** RFC 6750 §2.1; the scheme's letter case does not matter (RFC 9110 §11.1). */
const bearer = /^Bearer +/i;

/**
 * The text of the token that a request carries; undefined where it has none. `Authorization` holds one only as
 * `Bearer …`, and something else for other schemes; any other header holds it with or without the word.
 */
export function tokenText(
  head: Pick<RequestHead, "header" | "cookies">,
  { kind, name }: JwtSpec["from"],
): string | undefined | typeof repeated {
  if (kind === "cookie") return head.cookies === undefined ? undefined : findCookie(head.cookies, name);
  const value = head.header(name);
  if (typeof value !== "string") return value;
  const scheme = bearer.exec(value)?.[0];
  if (scheme !== undefined) return value.slice(scheme.length);
  return name === "authorization" ? undefined : value;
}
