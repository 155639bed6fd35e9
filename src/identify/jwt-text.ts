import { algorithmNamed, type JwtAlgorithm } from "./jwt-algorithms.ts";
import type { TokenFailure } from "./unusable.ts";

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
export function readToken(text: string): UnverifiedToken | TokenFailure {
  const [, headerText, payloadText, signatureText] = compact.exec(text) ?? [];
  if (headerText === undefined || payloadText === undefined || signatureText === undefined) return "jwt-malformed";
  const header = readObject(headerText);
  const signature = Buffer.from(signatureText, "base64url");
  // Several texts may stand for the same octets; one is enough.
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
