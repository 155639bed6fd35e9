import {
  constants,
  createHmac,
  createPublicKey,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
  verify,
  type webcrypto,
} from "node:crypto";

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

function keyKindOf(algorithm: JwtAlgorithm): KeyKind {
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

/** A key that verifies tokens, and only those whose algorithm it is made for. */
export interface VerifyingKey {
  /** The name that tokens call it by; one without a name may be tried for any token. */
  readonly kid: string | undefined;
  readonly kind: KeyKind;
  readonly algorithms: ReadonlySet<JwtAlgorithm>;
  readonly key: KeyObject;
}

/** A set of more keys is a mistake, or meant to cost us time. */
const maxKeys = 100;
/** RFC 7518 §3.3 asks for 2048 bits; a longer modulus than the second makes every check slow. */
const rsaBits = { least: 2_048, most: 8_192 };
const shortestSecretBytes = 32;
const curves: Readonly<Record<string, KeyKind>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };

export function secretKey(secret: Uint8Array): VerifyingKey {
  return verifyingKey(undefined, "secret", undefined, createSecretKey(secret));
}

/** Keys, and in words why others of the set are not used. */
export interface KeySet {
  readonly keys: readonly VerifyingKey[];
  readonly unused: readonly string[];
}

/**
 * Reads a JSON Web Key Set (RFC 7517). Keys that are not for verifying, or of a kind that is not known, are passed over,
 * as §5 asks. Shared secrets among them count only where the set is kept as a secret: `secrets`.
 */
export function readKeySet(text: string, secrets: "counted" | "refused"): KeySet | { readonly problem: string } {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    return { problem: "it is not JSON" };
  }
  const members = isRecord(set) ? set["keys"] : undefined;
  if (!Array.isArray(members)) return { problem: 'it is no set of keys: { "keys": [ … ] }' };
  const keys: VerifyingKey[] = [];
  const unused: string[] = [];
  for (const [index, member] of members.slice(0, maxKeys).entries()) {
    const read = readKey(member, secrets);
    if (typeof read === "string") unused.push(`key ${index + 1}: ${read}`);
    else keys.push(read);
  }
  if (members.length > maxKeys) unused.push(`the keys after the first ${maxKeys}`);
  return { keys, unused };
}

function readKey(jwk: unknown, secrets: "counted" | "refused"): VerifyingKey | string {
  if (!isRecord(jwk)) return "it is no object";
  const { kty, kid, use, key_ops: operations, alg } = jwk;
  if (use !== undefined && use !== "sig") return "it is not for signatures";
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return "it is not for verifying";
  }
  if (kid !== undefined && typeof kid !== "string") return "its kid is no text";
  const key = kty === "oct" ? secretOf(jwk, secrets) : publicKeyOf(jwk);
  if (typeof key === "string") return key;
  const kind = kindOf(key);
  if (typeof kind !== "object") return kind;
  const own = alg === undefined ? undefined : algorithmNamed(alg);
  if (alg !== undefined && (own === undefined || keyKindOf(own) !== kind.is)) return "its alg does not fit it";
  return verifyingKey(kid, kind.is, own, key);
}

function secretOf({ k }: Readonly<Record<string, unknown>>, secrets: "counted" | "refused"): KeyObject | string {
  if (secrets === "refused") return "it is a shared secret, which no one may publish";
  const bytes = typeof k === "string" ? Buffer.from(k, "base64url") : Buffer.alloc(0);
  return bytes.length < shortestSecretBytes ? `it has less than ${shortestSecretBytes} bytes` : createSecretKey(bytes);
}

function publicKeyOf(jwk: Readonly<Record<string, unknown>>): KeyObject | string {
  if (jwk["d"] !== undefined) return "it is a private key, which belongs to whoever signs";
  try {
    return createPublicKey({ key: jwk as webcrypto.JsonWebKey, format: "jwk" });
  } catch {
    return "it can not be read";
  }
}

/** An object, since a kind and a complaint are both texts. */
function kindOf(key: KeyObject): { readonly is: KeyKind } | string {
  if (key.type === "secret") return { is: "secret" };
  const { namedCurve = "", modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      if (modulusLength >= rsaBits.least && modulusLength <= rsaBits.most) return { is: "RSA" };
      return `it has ${modulusLength} bits; ${rsaBits.least} to ${rsaBits.most} are taken`;
    case "ec": {
      const curve = curves[namedCurve];
      return curve === undefined ? "its curve is not taken" : { is: curve };
    }
    case "ed25519":
      return { is: "Ed25519" };
    default:
      return "its kind is not taken";
  }
}

function verifyingKey(kid: string | undefined, kind: KeyKind, own: JwtAlgorithm | undefined, key: KeyObject) {
  const algorithms = own === undefined ? jwtAlgorithms.filter((name) => keyKindOf(name) === kind) : [own];
  return { kid, kind, algorithms: new Set(algorithms), key };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
