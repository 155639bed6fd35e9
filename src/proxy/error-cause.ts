import { PerchError } from "../errors.ts";

/** Errors within errors that are looked into. */
const mostCauses = 5;

/** What the system or TLS calls it, as in `ECONNREFUSED` or `CERT_HAS_EXPIRED`. For the log only. */
export function causeOf(error: unknown): string | undefined {
  let found: string | undefined;
  let at = error;
  for (let depth = 0; at instanceof Error && depth < mostCauses; depth++) {
    if (!(at instanceof PerchError) && "code" in at && typeof at.code === "string") found = at.code;
    at = at.cause;
  }
  return found;
}
