import type { AttributeType } from "../decide/facts.ts";
import type { AttributeErrorCause } from "./attribute-error.ts";
import type { GeoDatabase, GeoField } from "./geo-database.ts";
import type { JwtVerifier } from "./jwt-verifier.ts";

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

/** Told of every attribute value that was there and could not be used; `index` is the attribute's in its table. */
export interface AttributeErrorSink {
  attributeError(index: number, cause: AttributeErrorCause): void;
}

/** What answers for sources that are more than a text in the request; undefined where no attribute asks. */
export interface Lookups {
  readonly jwt: JwtVerifier | undefined;
  readonly geo: GeoDatabase | undefined;
}

export const noLookups: Lookups = Object.freeze({ jwt: undefined, geo: undefined });

export interface Attribute {
  readonly name: string;
  readonly type: AttributeType;
  readonly from: readonly AttributeSource[];
}

/**
 * The attributes of a configuration, by index. A name that any attribute reads with `trust: "proxies"` is reserved: from
 * an untrusted caller nothing of that name counts, for whichever attribute, rule or route asks, and no copy of it goes
 * upstream. So one careless reader can not open what another one closed.
 */
export class AttributeTable {
  readonly attributes: readonly Attribute[];
  readonly errors: AttributeErrorSink;
  readonly lookups: Lookups;
  /** Names, lower case, of headers to be removed from what an untrusted caller sent. */
  readonly untrustedHeaders: ReadonlySet<string>;
  /** Names of cookies to be removed from what an untrusted caller sent. */
  readonly untrustedCookies: ReadonlySet<string>;
  /** Names of query parameters to be removed from what an untrusted caller sent. */
  readonly untrustedQuery: ReadonlySet<string>;
  readonly #indexes: ReadonlyMap<string, number>;

  constructor(specs: readonly AttributeSpec[], errors: AttributeErrorSink, lookups: Lookups) {
    this.attributes = specs.map(({ name, type, from }) => ({ name, type, from: from.map(normalised) }));
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

  /** Undefined where no attribute has this name. */
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

function normalised(source: AttributeSource): AttributeSource {
  return source.kind === "header" ? { ...source, name: source.name.toLowerCase() } : source;
}
