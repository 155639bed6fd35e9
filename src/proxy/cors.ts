import { removeFields } from "../http/header-fields.ts";
import { corsResponseFields } from "../http/header-names.ts";
import type { RequestHead } from "../http/request-head.ts";
import type { CorsSpec, OriginSpec } from "../route/route-spec.ts";
import type { Preflight } from "./local-reply.ts";

type Head = Pick<RequestHead, "header">;

/**
 * The CORS protocol of a route (Fetch §3.3). An origin is sent back only if it is allowed, so a page that is not allowed
 * learns nothing; whether it may send a request is its browser's decision alone. Built once per snapshot.
 */
export class Cors {
  readonly #spec: CorsSpec;
  /** Whether every origin gets the same fields. */
  readonly #isPublic: boolean;
  readonly #exposed: string;

  constructor(spec: CorsSpec) {
    this.#spec = spec;
    this.#isPublic = spec.anyOrigin && !spec.credentials;
    this.#exposed = spec.exposedHeaders.join(", ");
  }

  /** The reply to a preflight. For an origin that is not allowed it grants nothing. */
  preflight(head: Head): Preflight {
    const { methods, headers, maxAgeSeconds } = this.#spec;
    const fields = this.#originFields(head);
    const vary = this.#isPublic ? [] : ["Origin"];
    if (fields.length > 0) {
      const method = this.#granted(methods, head, "access-control-request-method", vary);
      if (method !== undefined) fields.push("Access-Control-Allow-Methods", method);
      const names = this.#granted(headers, head, "access-control-request-headers", vary);
      if (names !== undefined) fields.push("Access-Control-Allow-Headers", names);
      fields.push("Access-Control-Max-Age", String(maxAgeSeconds));
    }
    if (vary.length > 0) fields.push("Vary", vary.join(", "));
    return { status: 204, fields };
  }

  /** The fields of a response that Perch makes itself. */
  responseFields(head: Head): string[] {
    const fields: string[] = [];
    this.applyToResponse(fields, head);
    return fields;
  }

  /** Replaces the CORS fields of a response, in place. */
  applyToResponse(fields: string[], head: Head): void {
    removeFields(fields, corsResponseFields);
    const granted = this.#originFields(head);
    if (granted.length > 0 && this.#exposed !== "") granted.push("Access-Control-Expose-Headers", this.#exposed);
    fields.push(...granted);
    // Also for a request without Origin: a cache must not give its response to a page (Fetch §3.3.5).
    if (!this.#isPublic && !variesByOrigin(fields)) fields.push("Vary", "Origin");
  }

  /** Empty if the origin is not allowed. */
  #originFields(head: Head): string[] {
    const allowed = this.#allowedOrigin(head);
    if (allowed === undefined) return [];
    const fields = ["Access-Control-Allow-Origin", allowed];
    if (this.#spec.credentials) fields.push("Access-Control-Allow-Credentials", "true");
    return fields;
  }

  #allowedOrigin(head: Head): string | undefined {
    if (this.#isPublic) return "*";
    const origin = head.header("origin");
    if (typeof origin !== "string") return undefined;
    const { anyOrigin, origins } = this.#spec;
    const isAllowed = anyOrigin ? serialisedOrigin.test(origin) : false;
    return isAllowed || origins.some((allowed) => matches(allowed, origin)) ? origin : undefined;
  }

  /** With credentials browsers take `*` literally, so what the preflight asks for is granted by name. */
  #granted(listed: readonly string[], head: Head, asks: string, vary: string[]): string | undefined {
    if (!listed.includes("*") || !this.#spec.credentials) return listed.length === 0 ? undefined : listed.join(", ");
    vary.push(
      asks === "access-control-request-method" ? "Access-Control-Request-Method" : "Access-Control-Request-Headers",
    );
    const asked = head.header(asks);
    return typeof asked === "string" && tokenList.test(asked) ? asked : undefined;
  }
}

/** An origin with a host, as browsers write it (RFC 6454 §6.1); not `null`. */
const serialisedOrigin = /^[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/;
const hostLabels = /^[a-z0-9._~-]+$/;
const tokenList = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/;

function matches(allowed: OriginSpec, origin: string): boolean {
  if (allowed.kind === "exact") return allowed.origin === origin;
  const { start, end } = allowed;
  if (!origin.startsWith(start) || !origin.endsWith(end) || origin.length <= start.length + end.length) return false;
  return hostLabels.test(origin.slice(start.length, origin.length - end.length));
}

function variesByOrigin(fields: readonly string[]): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() !== "vary") continue;
    const names = (fields[i + 1] ?? "").split(",").map((name) => name.trim().toLowerCase());
    if (names.includes("origin") || names.includes("*")) return true;
  }
  return false;
}
