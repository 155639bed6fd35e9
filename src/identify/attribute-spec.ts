import type { AttributeType } from "../decide/facts.ts";
import type { GeoField } from "./geo-database.ts";

/**
 * Where an attribute's value may come from. With `trust: "proxies"` a source counts only when the caller is a trusted
 * proxy; a copy that anyone else sent is removed before the request goes upstream.
 */
export type AttributeSource =
  | { readonly kind: "header" | "cookie" | "query"; readonly name: string; readonly trust: "anyone" | "proxies" }
  | { readonly kind: "clientAddress" }
  /** A claim of a verified token, by its index in the token's spec; the names that lead to it are for people. */
  | { readonly kind: "jwt"; readonly claim: number; readonly path: readonly string[] }
  /** What the database knows of the client's address. */
  | { readonly kind: "geo"; readonly field: GeoField };

/** A typed fact about the requester. The first source that is present and parses gives the value. */
export interface AttributeSpec {
  readonly name: string;
  readonly type: AttributeType;
  readonly from: readonly AttributeSource[];
}
