import { hash } from "node:crypto";
import { BoundedCache } from "../decide/bounded-cache.ts";
import { AttributeError, type TokenFailure, tokenFailures } from "./attribute-error.ts";
import { algorithmNamed, isSignedBy, type JwtAlgorithm, type VerifyingKey } from "./jwt-keys.ts";

/** Which tokens count, and where a request carries one. */
export interface JwtSpec {
  /** Keys that the configuration gives itself. */
  readonly keys: readonly VerifyingKey[];
  /** Where further keys are published. */
  readonly urls: readonly string[];
  /** Empty: any. */
  readonly issuers: readonly string[];
  /** One of them must be among the token's. Empty: any. */
  readonly audiences: readonly string[];
  readonly algorithms: ReadonlySet<JwtAlgorithm>;
  readonly clockSkewMs: number;
  readonly from: { readonly kind: "header" | "cookie"; readonly name: string };
  /** The claims that attributes read, each by the names that lead to it; attributes know them by index. */
  readonly claims: readonly (readonly string[])[];
}

/** Keys that are published elsewhere, as far as they are known. */
export interface PublishedKeys {
  readonly keys: readonly VerifyingKey[];
  /** Grows whenever the keys change. */
  readonly generation: number;
  /** A token named a key that is not among them: there may be newer ones. */
  missed(): void;
}

/** A token whose signature, issuer and audience are right. */
export interface VerifiedToken {
  /** SHA-256 of its text. */
  readonly digest: string;
  readonly notBeforeMs: number;
  readonly expiresAtMs: number;
  /** By the indexes of the spec. */
  readonly claims: readonly (string | AttributeError | undefined)[];
}

/** A longer one is refused unread. */
const maxToken = 8_192;
/** Keys that are tried for one token: it costs a signature check each. */
const maxTries = 8;
/** Tokens remembered, in each of two generations. They are kept by digest, so that their length costs nothing. */
const maxVerified = 4_096;
const maxForged = 1_024;

const failures = Object.fromEntries(tokenFailures.map((cause) => [cause, new AttributeError(cause)])) as Readonly<
  Record<TokenFailure, AttributeError>
>;
const noText = new AttributeError("unparsable");

/**
 * Verifies tokens, in the request's own turn: node's crypto needs no thread for it, so the chain stays synchronous in
 * every lane. A token that was verified before costs a hash and a look-up. Everything that can be told without a
 * signature is looked at first; forged signatures are remembered apart, so that they push no honest token out.
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
    if (text.length > maxToken) return failures["jwt-oversized"];
    this.#takeUpKeys();
    const digest = hash("sha256", text, "base64url");
    const known = this.#verified.get(digest);
    if (known !== undefined) return this.#atTime(known, nowMs);
    if (this.#forged.get(digest) !== undefined) return failures["jwt-signature"];
    const token = readToken(text);
    if (typeof token === "string") return failures[token];
    const read = this.#judge(token, digest, nowMs);
    if (typeof read === "string") return failures[read];
    if (read instanceof AttributeError) return read;
    this.#verified.add(read);
    return read;
  }

  #judge(token: UnverifiedToken, digest: string, nowMs: number): VerifiedToken | AttributeError | TokenFailure {
    if (!this.#spec.algorithms.has(token.algorithm)) return "jwt-algorithm";
    const keys = this.#keys.filter((key) => fits(key, token));
    if (keys.length === 0) {
      for (const published of this.#published) published.missed();
      return "jwt-key";
    }
    const failure = this.#judgeClaims(token.claims);
    if (failure !== undefined) return failure;
    const read = this.#read(token, digest);
    if (read === undefined) return "jwt-malformed";
    const inTime = this.#atTime(read, nowMs);
    if (inTime instanceof AttributeError) return inTime;
    if (keys.slice(0, maxTries).some(({ key }) => isSignedBy(key, token.algorithm, token.message, token.signature))) {
      return read;
    }
    this.#forged.add(digest);
    return "jwt-signature";
  }

  #judgeClaims({ iss, aud }: UnverifiedToken["claims"]): TokenFailure | undefined {
    const { issuers, audiences } = this.#spec;
    if (issuers.length > 0 && !issuers.some((issuer) => issuer === iss)) return "jwt-issuer";
    const given: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
    if (audiences.length > 0 && !audiences.some((audience) => given.includes(audience))) return "jwt-audience";
    return undefined;
  }

  /** Undefined where a time in it is none. */
  #read({ claims, exactClaims }: UnverifiedToken, digest: string): VerifiedToken | undefined {
    const expiresAtMs = timeOf(claims["exp"], Number.POSITIVE_INFINITY);
    const notBeforeMs = timeOf(claims["nbf"], Number.NEGATIVE_INFINITY);
    if (expiresAtMs === undefined || notBeforeMs === undefined) return undefined;
    return { digest, expiresAtMs, notBeforeMs, claims: this.#spec.claims.map((path) => claimAt(exactClaims, path)) };
  }

  #atTime(token: VerifiedToken, nowMs: number): VerifiedToken | AttributeError {
    const { clockSkewMs } = this.#spec;
    if (nowMs >= token.expiresAtMs + clockSkewMs) return failures["jwt-expired"];
    return nowMs < token.notBeforeMs - clockSkewMs ? failures["jwt-not-yet-valid"] : token;
  }

  /** What was judged by other keys is forgotten with them. */
  #takeUpKeys(): void {
    let generation = 0;
    for (const published of this.#published) generation += published.generation;
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#keys = [...this.#spec.keys, ...this.#published.flatMap(({ keys }) => keys)];
    this.#verified.clear();
    this.#forged.clear();
  }
}

/** A key that tokens do not call by name may be meant by any; a token that calls none may mean any. */
function fits({ kid, algorithms }: VerifyingKey, token: UnverifiedToken): boolean {
  return algorithms.has(token.algorithm) && (kid === undefined || token.kid === undefined || kid === token.kid);
}

/** Seconds since 1970 (RFC 7519 §2), in milliseconds; undefined where there is something else. */
function timeOf(claim: unknown, absent: number): number | undefined {
  if (claim === undefined) return absent;
  return typeof claim === "number" ? claim * 1_000 : undefined;
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
  return typeof value === "number" || typeof value === "boolean" ? String(value) : noText;
}

/** What a token says, unverified. */
export interface UnverifiedToken {
  readonly algorithm: JwtAlgorithm;
  readonly kid: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  /** The same, with numbers that a double would change as they are written. */
  readonly exactClaims: Readonly<Record<string, unknown>>;
  /** What the signature is of. */
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** RFC 7515 §7.1: three parts; the signature may not be empty, as it is in an unsecured token (RFC 7519 §6). */
const compact = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

/**
 * Takes a token apart. What names a key in the token itself (`jwk`, `jku`, `x5c`, `x5u`) is not looked at, and what must
 * be understood (`crit`, RFC 7515 §4.1.11) is not.
 */
function readToken(text: string): UnverifiedToken | TokenFailure {
  const [, headerText, payloadText, signatureText] = compact.exec(text) ?? [];
  if (headerText === undefined || payloadText === undefined || signatureText === undefined) return "jwt-malformed";
  const header = readObject(headerText);
  const signature = Buffer.from(signatureText, "base64url");
  // Several texts may stand for the same bytes; one is enough.
  if (header === undefined || signature.toString("base64url") !== signatureText) return "jwt-malformed";
  const { alg, kid, crit } = header;
  if (crit !== undefined || (kid !== undefined && typeof kid !== "string")) return "jwt-malformed";
  const algorithm = algorithmNamed(alg);
  if (algorithm === undefined) return "jwt-algorithm";
  const claims = readObject(payloadText);
  const exactClaims = readObject(payloadText, asWritten);
  if (claims === undefined || exactClaims === undefined) return "jwt-malformed";
  return { algorithm, kid, claims, exactClaims, message: Buffer.from(`${headerText}.${payloadText}`), signature };
}

type Reviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown;

/** 9007199254740993 is not 9007199254740992, and version 1.10 is not 1.1. */
const asWritten: Reviver = (_key, value, context) =>
  typeof value === "number" && !Number.isSafeInteger(value) ? (context?.source ?? value) : value;

function readObject(base64: string, reviver?: Reviver): Readonly<Record<string, unknown>> | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(base64, "base64url"));
    const value: unknown = JSON.parse(text, reviver);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}
