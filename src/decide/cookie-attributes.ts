import type { CookieSpec } from "./release-spec.ts";

/**
 * The attributes of a cookie that Perch sets, always in this order: Max-Age, Path, Domain if configured, Secure,
 * HttpOnly, SameSite, Partitioned. `maxAgeSeconds` undefined: a session cookie. `scheme`: of the client's request,
 * which matters with `secure: auto`.
 *
 * Browsers drop a cookie with SameSite=None or Partitioned that is not Secure (RFC 6265bis §5.7; CHIPS). Where the
 * cookie is not Secure, it is therefore sent with SameSite=Lax and unpartitioned: it then works on the site's own pages.
 */
export function cookieAttributes(
  { path, domain, secure, partitioned }: CookieSpec,
  maxAgeSeconds: number | undefined,
  scheme: "http" | "https",
  sameSite: CookieSpec["sameSite"],
): string {
  const isSecure = secure === "always" || (secure === "auto" && scheme === "https");
  const age = maxAgeSeconds === undefined ? "" : `; Max-Age=${maxAgeSeconds}`;
  const scope = `; Path=${path}${domain === undefined ? "" : `; Domain=${domain}`}`;
  const site = `; SameSite=${sameSiteNames[sameSite === "none" && !isSecure ? "lax" : sameSite]}`;
  return `${age}${scope}${isSecure ? "; Secure" : ""}; HttpOnly${site}${partitioned && isSecure ? "; Partitioned" : ""}`;
}

const sameSiteNames = { lax: "Lax", strict: "Strict", none: "None" } as const;
