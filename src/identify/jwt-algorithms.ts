import { constants, createHmac, type KeyObject, timingSafeEqual, verify } from "node:crypto";

/** What a key is: each algorithm takes keys of exactly one kind, so that none verifies what it was not made for. */
export type KeyKind = "secret" | "RSA" | "P-256" | "P-384" | "P-521" | "Ed25519";

/** The algorithms of RFC 7518 §3.1 and RFC 9864 that are safe to take; `none` is not among them. */
export const jwtAlgorithms = [
  "HS256",
  "HS384",
  "HS512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;
export type JwtAlgorithm = (typeof jwtAlgorithms)[number];

interface Algorithm {
  readonly kind: KeyKind;
  isSigned(key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean;
}

const hmac = (digest: string): Algorithm => ({
  kind: "secret",
  isSigned(key, message, signature) {
    const expected = createHmac(digest, key).update(message).digest();
    return expected.length === signature.length && timingSafeEqual(expected, signature);
  },
});

const rsa = (digest: string): Algorithm => ({
  kind: "RSA",
  isSigned: (key, message, signature) =>
    verify(digest, message, { key, padding: constants.RSA_PKCS1_PADDING }, signature),
});

const rsaPss = (digest: string): Algorithm => ({
  kind: "RSA",
  isSigned: (key, message, signature) =>
    verify(
      digest,
      message,
      { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
      signature,
    ),
});

const ecdsa = (digest: string, kind: KeyKind): Algorithm => ({
  kind,
  // The pair of numbers as it is (RFC 7518 §3.4), not in DER.
  isSigned: (key, message, signature) => verify(digest, message, { key, dsaEncoding: "ieee-p1363" }, signature),
});

const ed25519: Algorithm = {
  kind: "Ed25519",
  isSigned: (key, message, signature) => verify(null, message, key, signature),
};

const algorithms: Readonly<Record<JwtAlgorithm, Algorithm>> = {
  HS256: hmac("sha256"),
  HS384: hmac("sha384"),
  HS512: hmac("sha512"),
  RS256: rsa("sha256"),
  RS384: rsa("sha384"),
  RS512: rsa("sha512"),
  PS256: rsaPss("sha256"),
  PS384: rsaPss("sha384"),
  PS512: rsaPss("sha512"),
  ES256: ecdsa("sha256", "P-256"),
  ES384: ecdsa("sha384", "P-384"),
  ES512: ecdsa("sha512", "P-521"),
  EdDSA: ed25519,
  Ed25519: ed25519,
};

const byName: ReadonlyMap<unknown, JwtAlgorithm> = new Map(jwtAlgorithms.map((name) => [name, name]));

/** The algorithm of this name, letter for letter; undefined for everything else that a header may hold. */
export function algorithmNamed(name: unknown): JwtAlgorithm | undefined {
  return byName.get(name);
}

export function keyKindOf(algorithm: JwtAlgorithm): KeyKind {
  return algorithms[algorithm].kind;
}

/** Whether the key, of the algorithm's kind, made this signature. Never throws. */
export function isSignedBy(
  key: KeyObject,
  algorithm: JwtAlgorithm,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return algorithms[algorithm].isSigned(key, message, signature);
  } catch {
    // OpenSSL refuses some keys and signatures outright, such as an RSA key shorter than the digest needs.
    return false;
  }
}
