import type { AttributeType } from "../decide/facts.ts";
import type { SkipSink } from "../decide/pattern.ts";
import { TimeZone } from "../decide/time-zone.ts";
import type { AttributeErrorCause } from "./attribute-error.ts";
import type { GeoDatabase, GeoField } from "./geo-database.ts";
import type { JwtVerifier } from "./jwt-verifier.ts";

/**
 * A source of an attribute's value. With `trust: "proxies"` it is read only if the caller is a trusted proxy; from
 * other callers it is removed before the request goes upstream.
 */
export type AttributeSource =
  | { readonly kind: "header" | "cookie" | "query"; readonly name: string; readonly trust: "anyone" | "proxies" }
  | { readonly kind: "clientAddress" }
  /** A claim of a verified token, by its index in the token's spec; `path` is for explanations. */
  | { readonly kind: "jwt"; readonly claim: number; readonly path: readonly string[] }
  /** A field of the client address's record in the database. */
  | { readonly kind: "geo"; readonly field: GeoField };

/** A typed fact about the requester. The first source that is present and valid provides the value. */
export interface AttributeSpec {
  readonly name: string;
  readonly type: AttributeType;
  /** The IANA zone of times without one. Default: UTC. */
  readonly timeZone?: string | undefined;
  readonly from: readonly AttributeSource[];
}

/** Notified of every attribute value that is present but cannot be used; `index` is the attribute's index. */
export interface AttributeErrorSink extends SkipSink {
  attributeError(index: number, cause: AttributeErrorCause): void;
}

/** Sources that are not plain text in the request; undefined if no attribute needs them. */
export interface Lookups {
  readonly jwt: JwtVerifier | undefined;
  readonly geo: GeoDatabase | undefined;
}

export const noLookups: Lookups = Object.freeze({ jwt: undefined, geo: undefined });

export interface Attribute {
  readonly name: string;
  readonly type: AttributeType;
  readonly zone: TimeZone | undefined;
  readonly from: readonly AttributeSource[];
}

/**
 * The attributes of a configuration, by index. A name that any attribute reads with `trust: "proxies"` is reserved:
 * from an untrusted caller it is absent for every attribute, rule and route, and is removed before the request goes
 * upstream. So a reader without `trust` cannot weaken one with it.
 */
export class AttributeTable {
  readonly attributes: readonly Attribute[];
  readonly errors: AttributeErrorSink;
  readonly lookups: Lookups;
  /** Lower-case names of the headers to remove from an untrusted caller's request. */
  readonly untrustedHeaders: ReadonlySet<string>;
  /** Names of the cookies to remove from an untrusted caller's request. */
  readonly untrustedCookies: ReadonlySet<string>;
  /** Names of the query parameters to remove from an untrusted caller's request. */
  readonly untrustedQuery: ReadonlySet<string>;
  readonly #indexes: ReadonlyMap<string, number>;

  constructor(specs: readonly AttributeSpec[], errors: AttributeErrorSink, lookups: Lookups) {
    this.attributes = specs.map(compiled);
    this.errors = errors;
    this.lookups = lookups;
    this.#indexes = new Map(specs.map(({ name }, index) => [name, index]));
    this.untrustedHeaders = this.#reserved("header");
    this.untrustedCookies = this.#reserved("cookie");
    this.untrustedQuery = this.#reserved("query");
  }

  get size(): number {
    return this.attributes.length;
  }

  /** Undefined if no attribute has this name. */
  indexOf(name: string): number | undefined {
    return this.#indexes.get(name);
  }

  #reserved(kind: "header" | "cookie" | "query"): ReadonlySet<string> {
    const sources = this.attributes.flatMap(({ from }) => from);
    return new Set(
      sources.flatMap((source) => (source.kind === kind && source.trust === "proxies" ? [source.name] : [])),
    );
  }
}

function compiled({ name, type, timeZone, from }: AttributeSpec): Attribute {
  return {
    name,
    type,
    zone: timeZone === undefined ? undefined : TimeZone.named(timeZone),
    from: from.map(normalised),
  };
}

function normalised(source: AttributeSource): AttributeSource {
  return source.kind === "header" ? { ...source, name: source.name.toLowerCase() } : source;
}
