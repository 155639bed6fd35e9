import { type AttributeValue, type Facts, parseValue } from "../decide/facts.ts";
import type { Address, AddressRange } from "../decide/ip-address.ts";
import { PatternMeter } from "../decide/pattern.ts";
import { findCookie } from "../http/cookies.ts";
import { deriveClientAddress, type ForwardedHeaders, forwardedHeaders, isHttps } from "../http/forwarded.ts";
import { otherReadings, type PathParameters } from "../http/path.ts";
import { decodeText, mayHaveParameter, parseQuery } from "../http/query.ts";
import { type Caller, type RequestHead, repeated } from "../http/request-head.ts";
import { AttributeError, type AttributeErrorCause } from "./attribute-error.ts";
import type { Attribute, AttributeSource, AttributeTable } from "./attributes.ts";
import type { GeoField } from "./geo-database.ts";
import type { JwtSpec, VerifiedToken } from "./jwt-verifier.ts";

/** Marks a value that was not read yet, since undefined is a valid result. */
const unread: unique symbol = Symbol("unread");

const noPaths: readonly string[] = Object.freeze([]);

/** Caches that a value is absent. */
const absent: unique symbol = Symbol("absent");

/** Values by name, so that a thousand rules on one long header read it once. */
type ValueCache = Map<string, string | typeof repeated | typeof absent>;

/**
 * The facts of one request, read lazily and cached. An attribute takes the first of its sources that is present and
 * parses. An empty value counts as absent, for any type. A repeated header or a value that does not parse is reported,
 * once per request, and the next source is read.
 */
export class RequestFacts implements Facts {
  #table: AttributeTable;
  #head: RequestHead;
  #caller: Caller;
  #trusted: readonly AddressRange[];
  #nowMs: number;
  readonly #attributes: (AttributeValue | typeof absent | undefined)[] = [];
  #headers: ValueCache | undefined;
  #cookies: ValueCache | undefined;
  #parameters: ReadonlyMap<string, string> | undefined;
  #clientAddress: Address | undefined | typeof unread = unread;
  #patterns: PatternMeter | undefined;
  #token: VerifiedToken | AttributeError | undefined | typeof unread = unread;

  /** `trusted` is the configuration's `trustedProxies`; `nowMs` is the wall clock, for token expiry. */
  constructor(
    table: AttributeTable,
    head: RequestHead,
    caller: Caller,
    trusted: readonly AddressRange[],
    nowMs: number,
  ) {
    this.#table = table;
    this.#head = head;
    this.#caller = caller;
    this.#trusted = trusted;
    this.#nowMs = nowMs;
  }

  /** Makes it the facts of another request, of which nothing was read yet. */
  restart(
    table: AttributeTable,
    head: RequestHead,
    caller: Caller,
    trusted: readonly AddressRange[],
    nowMs: number,
  ): void {
    this.#table = table;
    this.#head = head;
    this.#caller = caller;
    this.#trusted = trusted;
    this.#nowMs = nowMs;
    for (let index = 0; index < this.#attributes.length; index++) this.#attributes[index] = undefined;
    this.#headers = undefined;
    this.#cookies = undefined;
    this.#parameters = undefined;
    this.#clientAddress = unread;
    this.#patterns = undefined;
    this.#token = unread;
  }

  get method(): string {
    return this.#head.method;
  }

  get host(): string {
    return this.#head.host;
  }

  get path(): string {
    return this.#head.path;
  }

  get isRooted(): boolean {
    return this.#head.pathIsPlain === true || this.#head.path.startsWith("/");
  }

  /** The path as other servers may read it; empty if it is unambiguous. */
  otherPaths(parameters: PathParameters): readonly string[] {
    return this.#head.pathIsPlain ? noPaths : otherReadings(this.#head.path, parameters);
  }

  get clientAddress(): Address | undefined {
    if (this.#clientAddress === unread) {
      this.#clientAddress = deriveClientAddress(this.#head, this.#caller, this.#trusted);
    }
    return this.#clientAddress;
  }

  get listener(): string {
    return this.#caller.listener;
  }

  get isHttps(): boolean {
    return isHttps(this.#head, this.#caller);
  }

  /** The forwarding headers for the upstream. Not cached. */
  get forwarded(): ForwardedHeaders {
    return forwardedHeaders(this.#head, this.#caller);
  }

  get patterns(): PatternMeter {
    this.#patterns ??= new PatternMeter();
    return this.#patterns;
  }

  patternSkipped(): void {
    this.#table.errors.patternSkipped();
  }

  attribute(index: number): AttributeValue | undefined {
    while (this.#attributes.length <= index) this.#attributes.push(undefined);
    let value = this.#attributes[index];
    if (value === undefined) {
      value = this.#readAttribute(index) ?? absent;
      this.#attributes[index] = value;
    }
    return value === absent ? undefined : value;
  }

  header(name: string): string | undefined {
    this.#headers ??= new Map();
    let value = this.#headers.get(name);
    if (value === undefined) {
      value = this.#readHeader(name) ?? absent;
      this.#headers.set(name, value);
    }
    return typeof value === "string" ? value : undefined;
  }

  cookie(name: string): string | undefined {
    this.#cookies ??= new Map();
    let value = this.#cookies.get(name);
    if (value === undefined) {
      value = this.#readCookie(name) ?? absent;
      this.#cookies.set(name, value);
    }
    return typeof value === "string" ? value : undefined;
  }

  query(name: string): string | undefined {
    if (this.#head.query === "" || this.#isReserved(this.#table.untrustedQuery, name)) return undefined;
    if (this.#parameters === undefined && !mayHaveParameter(this.#head.query, name, this.#head.queryIsPlain))
      return undefined;
    this.#parameters ??= parseQuery(this.#head.query);
    return this.#parameters.get(name);
  }

  #readAttribute(index: number): AttributeValue | undefined {
    const { type, zone, from } = this.#table.attributes[index] ?? noAttribute;
    for (const source of from) {
      const text = this.#readSource(source);
      if (text === undefined || text === "") continue;
      const value = typeof text === "string" ? parseValue(type, text, zone) : undefined;
      if (value !== undefined) return value;
      this.#table.errors.attributeError(index, causeOf(text));
    }
    return undefined;
  }

  #readSource(source: AttributeSource): string | undefined | typeof repeated | AttributeError {
    switch (source.kind) {
      case "header":
        return this.#readHeader(source.name);
      case "cookie":
        return this.#readCookie(source.name);
      case "query":
        return this.query(source.name);
      case "clientAddress":
        return this.clientAddress?.text;
      case "jwt":
        return this.#readClaim(source.claim);
      case "geo":
        return this.#readPlace(source.field);
    }
  }

  #readPlace(field: GeoField): string | undefined | AttributeError {
    const { clientAddress } = this;
    const place = clientAddress && this.#table.lookups.geo?.lookup(clientAddress);
    return place?.readable === false ? unreadablePlace : place?.[field];
  }

  /** Verifies the token once per request, however many attributes read it. */
  #readClaim(claim: number): string | undefined | AttributeError {
    if (this.#token === unread) this.#token = this.#readToken();
    const token = this.#token;
    return token === undefined || token instanceof AttributeError ? token : token.claims[claim];
  }

  #readToken(): VerifiedToken | AttributeError | undefined {
    const { jwt } = this.#table.lookups;
    const text = jwt && tokenText(this.#head, jwt.from);
    if (jwt === undefined || text === undefined || text === "") return undefined;
    return text === repeated ? repeatedToken : jwt.verify(text, this.#nowMs);
  }

  #readHeader(name: string): string | undefined | typeof repeated {
    if (this.#isReserved(this.#table.untrustedHeaders, name)) return undefined;
    const value = this.#head.header(name);
    return typeof value === "string" ? decodeText(value) : value;
  }

  #readCookie(name: string): string | undefined {
    const { cookies } = this.#head;
    if (cookies === undefined || this.#isReserved(this.#table.untrustedCookies, name)) return undefined;
    const value = findCookie(cookies, name);
    return value === undefined ? undefined : decodeText(value);
  }

  #isReserved(names: ReadonlySet<string>, name: string): boolean {
    return !this.#caller.trusted && names.size > 0 && names.has(name);
  }
}

const noAttribute: Pick<Attribute, "type" | "zone" | "from"> = { type: "string", zone: undefined, from: [] };
const unreadablePlace = new AttributeError("geo-unreadable");
const repeatedToken = new AttributeError("repeated");

function causeOf(text: string | typeof repeated | AttributeError): AttributeErrorCause {
  if (text instanceof AttributeError) return text.cause;
  return text === repeated ? "repeated" : "unparsable";
}

/** RFC 6750 §2.1; the scheme is case-insensitive (RFC 9110 §11.1). */
const bearer = /^Bearer +/i;

/**
 * The request's token; undefined if it has none. In `Authorization` it must follow `Bearer`, since other schemes carry
 * other credentials; in any other header the word is optional.
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
