import { type AttributeValue, type Facts, parseValue } from "../decide/facts.ts";
import type { Address, AddressRange } from "../decide/ip-address.ts";
import { findCookie } from "../http/cookies.ts";
import { deriveClientAddress, type ForwardedHeaders, forwardedHeaders, isHttps } from "../http/forwarded.ts";
import { otherReading } from "../http/path.ts";
import { decodeText, mayHaveParameter, parseQuery } from "../http/query.ts";
import { type Caller, type RequestHead, repeated } from "../http/request-head.ts";
import { AttributeError, type AttributeErrorCause } from "./attribute-error.ts";
import type { Attribute, AttributeSource, AttributeTable } from "./attributes.ts";
import type { GeoField } from "./geo-database.ts";
import type { JwtSpec, VerifiedToken } from "./jwt-verifier.ts";

/** Stands for the address while nobody asked for it, since undefined is an answer. */
const unread: unique symbol = Symbol("unread");

/** Remembered of what was asked for and is not there. */
const absent: unique symbol = Symbol("absent");

const unreadablePlace = new AttributeError("geo-unreadable");
const sentTwice = new AttributeError("repeated");

function causeOf(text: string | typeof repeated | AttributeError): AttributeErrorCause {
  if (text instanceof AttributeError) return text.cause;
  return text === repeated ? "repeated" : "unparsable";
}

const noAttribute: Pick<Attribute, "type" | "from"> = { type: "string", from: [] };

/** What was answered by name, so that a thousand rules about one long header read it once. */
type Answers = Map<string, string | typeof repeated | typeof absent>;

/**
 * What one request says, read when it is asked for and remembered. Attributes go through their sources in order: the
 * first that is present and parses gives the value. An empty value counts as absent, for an attribute of any type; a
 * repeated header and a value that does not parse are counted, once a request, and the next source is asked.
 */
export class RequestFacts implements Facts {
  readonly #table: AttributeTable;
  readonly #head: RequestHead;
  readonly #caller: Caller;
  readonly #trusted: readonly AddressRange[];
  readonly #nowMs: number;
  #attributes: (AttributeValue | typeof absent | undefined)[] | undefined;
  #headers: Answers | undefined;
  #cookies: Answers | undefined;
  #parameters: ReadonlyMap<string, string> | undefined;
  #clientAddress: Address | undefined | typeof unread = unread;
  #token: VerifiedToken | AttributeError | undefined | typeof unread = unread;

  /**
   * `trusted` are the ranges of the configuration's trustedProxies, for the walk along X-Forwarded-For; `nowMs` is the
   * wall clock, for what expires.
   */
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

  get method(): string {
    return this.#head.method;
  }

  get host(): string {
    return this.#head.host;
  }

  get path(): string {
    return this.#head.path;
  }

  /** The path as servers read it that take encoded slashes for slashes; undefined where all read it alike. */
  get otherPath(): string | undefined {
    return this.#head.pathIsPlain ? undefined : otherReading(this.#head.path);
  }

  get clientAddress(): Address | undefined {
    if (this.#clientAddress === unread) {
      this.#clientAddress = deriveClientAddress(this.#head, this.#caller, this.#trusted);
    }
    return this.#clientAddress;
  }

  /** True where the client came by https, as far as the caller and a trusted caller's X-Forwarded-Proto tell. */
  get isHttps(): boolean {
    return isHttps(this.#head, this.#caller);
  }

  /** The forwarding headers that go upstream. Built anew each time: ask once. */
  get forwarded(): ForwardedHeaders {
    return forwardedHeaders(this.#head, this.#caller);
  }

  attribute(index: number): AttributeValue | undefined {
    this.#attributes ??= new Array(this.#table.size);
    let answer = this.#attributes[index];
    if (answer === undefined) {
      answer = this.#readAttribute(index) ?? absent;
      this.#attributes[index] = answer;
    }
    return answer === absent ? undefined : answer;
  }

  header(name: string): string | undefined {
    this.#headers ??= new Map();
    let answer = this.#headers.get(name);
    if (answer === undefined) {
      answer = this.#readHeader(name) ?? absent;
      this.#headers.set(name, answer);
    }
    return typeof answer === "string" ? answer : undefined;
  }

  cookie(name: string): string | undefined {
    this.#cookies ??= new Map();
    let answer = this.#cookies.get(name);
    if (answer === undefined) {
      answer = this.#readCookie(name) ?? absent;
      this.#cookies.set(name, answer);
    }
    return typeof answer === "string" ? answer : undefined;
  }

  query(name: string): string | undefined {
    if (this.#head.query === "" || this.#isReserved(this.#table.untrustedQuery, name)) return undefined;
    if (this.#parameters === undefined && !mayHaveParameter(this.#head.query, name, this.#head.queryIsPlain))
      return undefined;
    this.#parameters ??= parseQuery(this.#head.query);
    return this.#parameters.get(name);
  }

  #readAttribute(index: number): AttributeValue | undefined {
    const { type, from } = this.#table.attributes[index] ?? noAttribute;
    for (const source of from) {
      const text = this.#readSource(source);
      if (text === undefined || text === "") continue;
      const value = typeof text === "string" ? parseValue(type, text) : undefined;
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

  /** The token is verified once, however many attributes read it. */
  #readClaim(claim: number): string | undefined | AttributeError {
    if (this.#token === unread) this.#token = this.#readToken();
    const token = this.#token;
    return token === undefined || token instanceof AttributeError ? token : token.claims[claim];
  }

  #readToken(): VerifiedToken | AttributeError | undefined {
    const { jwt } = this.#table.lookups;
    const text = jwt && tokenText(this.#head, jwt.from);
    if (jwt === undefined || text === undefined || text === "") return undefined;
    return text === repeated ? sentTwice : jwt.verify(text, this.#nowMs);
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
