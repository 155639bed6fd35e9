import { hash } from "node:crypto";
import { BoundedCache } from "../decide/bounded-cache.ts";
import { AttributeError, type TokenFailure, tokenFailures } from "./attribute-error.ts";
import { isJwtAlgorithm, isSignedBy, type JwtAlgorithm, type VerifyingKey } from "./jwt-keys.ts";

/** Which tokens are accepted, and where a request carries one. */
export interface JwtSpec {
  /** Keys from files of the configuration. */
  readonly keys: readonly VerifyingKey[];
  /** Addresses of published key sets. */
  readonly urls: readonly string[];
  /** Accepted values of `iss`. Empty: any. */
  readonly issuers: readonly string[];
  /** `aud` must contain one of these. Empty: any. */
  readonly audiences: readonly string[];
  readonly algorithms: ReadonlySet<JwtAlgorithm>;
  readonly clockSkewMs: number;
  readonly from: { readonly kind: "header" | "cookie"; readonly name: string };
  /** Paths of the claims that attributes read. Attributes refer to them by index. */
  readonly claims: readonly (readonly string[])[];
}

/** A published key set, as last fetched. */
export interface PublishedKeys {
  readonly keys: readonly VerifyingKey[];
  /** Increases whenever the keys change. */
  readonly generation: number;
  /** Called when no key fits a token: the publisher may have newer ones. */
  missed(): void;
}

/** A token whose signature, issuer and audience were verified. */
export interface VerifiedToken {
  /** SHA-256 of the token. */
  readonly digest: string;
  readonly notBeforeMs: number;
  readonly expiresAtMs: number;
  /** One for each path in the spec's `claims`; undefined: the token does not have it. */
  readonly claims: readonly (string | AttributeError | undefined)[];
}

/** In characters. A longer token is rejected without reading it. */
const maxTokenLength = 8_192;
/** Keys tried per token. Each costs a signature verification. */
const maxTries = 8;
/** Cached tokens per generation of a BoundedCache, which has two. */
const maxVerified = 4_096;
const maxForged = 1_024;

const failures = Object.fromEntries(tokenFailures.map((cause) => [cause, new AttributeError(cause)])) as Readonly<
  Record<TokenFailure, AttributeError>
>;
const notScalar = new AttributeError("unparsable");

/**
 * Verifies JWTs (RFC 7519, compact form) synchronously, so that a decision needs no await in either lane.
 *
 * Results are cached by the token's digest, so a repeated token costs one hash and one look-up, and memory does not depend
 * on token length. Checks that need no signature come first, because they are cheap. Forged tokens have a cache of their
 * own: a flood of them must not evict valid tokens.
 */
export class JwtVerifier {
  readonly #spec: JwtSpec;
  readonly #published: readonly PublishedKeys[];
  readonly #verified: BoundedCache<VerifiedToken> = new BoundedCache(maxVerified, ({ digest }) => digest);
  readonly #forged: BoundedCache<string> = new BoundedCache(maxForged, (digest) => digest);
  #keys: readonly VerifyingKey[];
  #generation = -1;

  constructor(spec: JwtSpec, published: readonly PublishedKeys[]) {
    this.#spec = spec;
    this.#published = published;
    this.#keys = spec.keys;
  }

  get from(): JwtSpec["from"] {
    return this.#spec.from;
  }

  /** Never throws, whatever the text. */
  verify(text: string, nowMs: number): VerifiedToken | AttributeError {
    if (text.length > maxTokenLength) return failures["jwt-oversized"];
    this.#adoptPublishedKeys();
    const digest = hash("sha256", text, "base64url");
    const cached = this.#verified.get(digest);
    if (cached !== undefined) return this.#checkTimes(cached, nowMs);
    if (this.#forged.get(digest) !== undefined) return failures["jwt-signature"];
    const token = parseToken(text);
    if (token instanceof AttributeError) return token;
    const verified = this.#check(token, digest, nowMs);
    if (verified instanceof AttributeError) return verified;
    this.#verified.add(verified);
    return verified;
  }

  #check(token: UnverifiedToken, digest: string, nowMs: number): VerifiedToken | AttributeError {
    if (!this.#spec.algorithms.has(token.algorithm)) return failures["jwt-algorithm"];
    const keys = this.#keys.filter((key) => fits(key, token));
    if (keys.length === 0) {
      for (const published of this.#published) published.missed();
      return failures["jwt-key"];
    }
    if (!this.#acceptsIssuer(token)) return failures["jwt-issuer"];
    if (!this.#acceptsAudience(token)) return failures["jwt-audience"];
    const read = this.#readClaims(token, digest);
    if (read instanceof AttributeError) return read;
    const inTime = this.#checkTimes(read, nowMs);
    if (inTime instanceof AttributeError) return inTime;
    if (keys.slice(0, maxTries).some(({ key }) => isSignedBy(key, token.algorithm, token.message, token.signature))) {
      return read;
    }
    this.#forged.add(digest);
    return failures["jwt-signature"];
  }

  #acceptsIssuer({ claims: { iss } }: UnverifiedToken): boolean {
    const { issuers } = this.#spec;
    return issuers.length === 0 || issuers.some((issuer) => issuer === iss);
  }

  #acceptsAudience({ claims: { aud } }: UnverifiedToken): boolean {
    const { audiences } = this.#spec;
    const sent: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
    return audiences.length === 0 || audiences.some((audience) => sent.includes(audience));
  }

  #readClaims({ claims, exactClaims }: UnverifiedToken, digest: string): VerifiedToken | AttributeError {
    const expiresAtMs = timeOf(claims["exp"], Number.POSITIVE_INFINITY);
    if (expiresAtMs instanceof AttributeError) return expiresAtMs;
    const notBeforeMs = timeOf(claims["nbf"], Number.NEGATIVE_INFINITY);
    if (notBeforeMs instanceof AttributeError) return notBeforeMs;
    return { digest, expiresAtMs, notBeforeMs, claims: this.#spec.claims.map((path) => claimAt(exactClaims, path)) };
  }

  #checkTimes(token: VerifiedToken, nowMs: number): VerifiedToken | AttributeError {
    const { clockSkewMs } = this.#spec;
    if (nowMs >= token.expiresAtMs + clockSkewMs) return failures["jwt-expired"];
    return nowMs < token.notBeforeMs - clockSkewMs ? failures["jwt-not-yet-valid"] : token;
  }

  /** Results of older keys are dropped: a key may have been withdrawn, and a forged token may verify now. */
  #adoptPublishedKeys(): void {
    let generation = 0;
    for (const published of this.#published) generation += published.generation;
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#keys = [...this.#spec.keys, ...this.#published.flatMap(({ keys }) => keys)];
    this.#verified.clear();
    this.#forged.clear();
  }
}

/** A key or token without `kid` matches any. */
function fits({ kid, algorithms }: VerifyingKey, token: UnverifiedToken): boolean {
  return algorithms.has(token.algorithm) && (kid === undefined || token.kid === undefined || kid === token.kid);
}

/** A NumericDate (RFC 7519 §2), which is in seconds, as milliseconds. */
function timeOf(claim: unknown, absent: number): number | AttributeError {
  if (claim === undefined) return absent;
  return typeof claim === "number" ? claim * 1_000 : failures["jwt-malformed"];
}

function claimAt(claims: unknown, path: readonly string[]): string | AttributeError | undefined {
  let value = claims;
  for (const name of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) {
      return undefined;
    }
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  if (value === null) return undefined;
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : notScalar;
}

type JsonObject = Readonly<Record<string, unknown>>;

interface UnverifiedToken {
  readonly algorithm: JwtAlgorithm;
  readonly kid: string | undefined;
  readonly claims: JsonObject;
  /** The claims with numbers as written where a double would change them. */
  readonly exactClaims: JsonObject;
  /** The signed bytes. */
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** RFC 7515 §7.1. The signature must not be empty, as it is in an unsecured token (RFC 7519 §6). */
const compact = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

/**
 * Splits and decodes a token. Keys that the token itself brings or points to (`jwk`, `jku`, `x5c`, `x5u`) are ignored.
 * A token with critical extensions (`crit`, RFC 7515 §4.1.11) is rejected, since none is implemented.
 */
function parseToken(text: string): UnverifiedToken | AttributeError {
  const malformed = failures["jwt-malformed"];
  const [, headerText, payloadText, signatureText] = compact.exec(text) ?? [];
  if (headerText === undefined || payloadText === undefined || signatureText === undefined) return malformed;
  const header = parseObject(headerText);
  if (header instanceof AttributeError) return header;
  const signature = Buffer.from(signatureText, "base64url");
  // Several base64url texts decode to the same bytes. Only the canonical one is accepted, so that a token has one text.
  if (signature.toString("base64url") !== signatureText) return malformed;
  const { alg, kid, crit } = header;
  if (crit !== undefined || (kid !== undefined && typeof kid !== "string")) return malformed;
  if (!isJwtAlgorithm(alg)) return failures["jwt-algorithm"];
  const claims = parseObject(payloadText);
  if (claims instanceof AttributeError) return claims;
  const exactClaims = parseObject(payloadText, asWritten);
  if (exactClaims instanceof AttributeError) return exactClaims;
  return { algorithm: alg, kid, claims, exactClaims, message: Buffer.from(`${headerText}.${payloadText}`), signature };
}

type Reviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown;

/** A double turns 9007199254740993 into 9007199254740992, and a version 1.10 into 1.1. */
const asWritten: Reviver = (_key, value, context) =>
  typeof value === "number" && !Number.isSafeInteger(value) ? (context?.source ?? value) : value;

function parseObject(base64: string, reviver?: Reviver): JsonObject | AttributeError {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(base64, "base64url"));
    const value: unknown = JSON.parse(text, reviver);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  } catch {
    // Not UTF-8, or not JSON.
  }
  return failures["jwt-malformed"];
}
