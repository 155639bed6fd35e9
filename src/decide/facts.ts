import type { Address } from "./address.ts";
import type { SemanticVersion } from "./semver.ts";

/** The types that an attribute can have in the configuration. */
export type AttributeType = "string" | "number" | "boolean" | "time" | "semver" | "ip";

/** An attribute's value; times are milliseconds since the Unix epoch. */
export type AttributeValue = string | number | boolean | SemanticVersion | Address;

/**
 * What rules may ask about one request. Every method is lazy and cheap to repeat; nothing here throws, whatever the
 * client sent. Text is decoded as UTF-8 where it is valid UTF-8 and left as Latin-1 otherwise.
 */
export interface Facts {
  /** The attribute at this index of the configuration's attribute table; undefined where absent or unparsable. */
  attribute(index: number): AttributeValue | undefined;
  /** A request header by its lower-case name; undefined where absent or sent more than once. */
  header(name: string): string | undefined;
  /** The first cookie of this name. */
  cookie(name: string): string | undefined;
  /** The first query parameter of this name, percent-decoded, `+` read as a space. */
  query(name: string): string | undefined;
  readonly method: string;
  /** Lower case, without port and without a trailing dot. */
  readonly host: string;
  /** The path as routes match it, without the query. */
  readonly path: string;
  /** The derived client address, not the caller's; undefined only where a unix socket has none. */
  readonly clientAddress: Address | undefined;
}
