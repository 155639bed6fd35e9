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

/** Each algorithm accepts exactly one kind of key. This prevents algorithm confusion (RFC 8725 §2.1). */
export type KeyKind = "secret" | "RSA" | "P-256" | "P-384" | "P-521" | "Ed25519";

/** The signature algorithms of RFC 7518 §3.1 and RFC 9864, without `none`. */
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
  // JWS signatures are R and S concatenated (RFC 7518 §3.4), not DER.
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

const names: ReadonlySet<unknown> = new Set(jwtAlgorithms);

/** Whether the `alg` of a header or key is supported. Case-sensitive (RFC 7515 §4.1.1). */
export function isJwtAlgorithm(alg: unknown): alg is JwtAlgorithm {
  return names.has(alg);
}

/** Verifies a signature. The key must be of the algorithm's kind. Never throws. */
export function isSignedBy(
  key: KeyObject,
  algorithm: JwtAlgorithm,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return algorithms[algorithm].isSigned(key, message, signature);
  } catch {
    // OpenSSL throws for some keys and signatures, such as an RSA key that is too short for the digest.
    return false;
  }
}

/** A key that verifies tokens of certain algorithms. */
export interface VerifyingKey {
  /** Key ID. A key without one is tried for every token, whatever the token's `kid`. */
  readonly kid: string | undefined;
  readonly kind: KeyKind;
  readonly algorithms: ReadonlySet<JwtAlgorithm>;
  readonly key: KeyObject;
}

/** Limits the work that a faulty or hostile key set can cause. */
const maxKeys = 100;
/** The minimum of RFC 7518 §3.3. Verification time grows with the modulus, hence the maximum. */
const rsaBits = { min: 2_048, max: 8_192 };
const minSecretBytes = 32;
const curves: Readonly<Record<string, KeyKind>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };

export function secretKey(secret: Uint8Array): VerifyingKey {
  return verifyingKey(undefined, "secret", kindAlgorithms("secret"), createSecretKey(secret));
}

export interface KeySet {
  readonly keys: readonly VerifyingKey[];
  /** For each key that is ignored: which one and why. */
  readonly unused: readonly string[];
}

interface Problem {
  readonly problem: string;
}

/**
 * Reads a JSON Web Key Set (RFC 7517). As §5 requires, keys of unknown types or for other uses are ignored. Shared
 * secrets (`oct`) are accepted only from a set that is kept secret: `secrets` is "refused" for published sets.
 */
export function readKeySet(text: string, secrets: "counted" | "refused"): KeySet | Problem {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    return { problem: "it is not JSON" };
  }
  const members = isRecord(set) ? set["keys"] : undefined;
  if (!Array.isArray(members)) return { problem: 'it is not a JSON Web Key Set: { "keys": [ … ] }' };
  const keys: VerifyingKey[] = [];
  const unused: string[] = [];
  for (const [index, member] of members.slice(0, maxKeys).entries()) {
    const read = readKey(member, secrets);
    if ("problem" in read) unused.push(`key ${index + 1}: ${read.problem}`);
    else keys.push(read);
  }
  if (members.length > maxKeys) unused.push(`all keys after the first ${maxKeys}`);
  return { keys, unused };
}

function readKey(jwk: unknown, secrets: "counted" | "refused"): VerifyingKey | Problem {
  if (!isRecord(jwk)) return { problem: "it is not an object" };
  const { kty, kid, use, key_ops: operations, alg } = jwk;
  if (use !== undefined && use !== "sig") return { problem: 'its "use" is not "sig"' };
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return { problem: 'its "key_ops" do not include "verify"' };
  }
  if (kid !== undefined && typeof kid !== "string") return { problem: 'its "kid" is not a string' };
  const key = kty === "oct" ? readSecret(jwk, secrets) : readPublicKey(jwk);
  if ("problem" in key) return key;
  const kind = kindOf(key);
  if (typeof kind === "object") return kind;
  if (alg === undefined) return verifyingKey(kid, kind, kindAlgorithms(kind), key);
  if (!isJwtAlgorithm(alg) || algorithms[alg].kind !== kind) return { problem: 'its "alg" does not match the key' };
  return verifyingKey(kid, kind, [alg], key);
}

function readSecret({ k }: Readonly<Record<string, unknown>>, secrets: "counted" | "refused"): KeyObject | Problem {
  if (secrets === "refused") return { problem: "it is a shared secret, which must not be published" };
  const bytes = typeof k === "string" ? Buffer.from(k, "base64url") : Buffer.alloc(0);
  if (bytes.length < minSecretBytes) return { problem: `its secret is shorter than ${minSecretBytes} bytes` };
  return createSecretKey(bytes);
}

function readPublicKey(jwk: Readonly<Record<string, unknown>>): KeyObject | Problem {
  if (jwk["d"] !== undefined) return { problem: "it is a private key; use the public key" };
  try {
    return createPublicKey({ key: jwk as webcrypto.JsonWebKey, format: "jwk" });
  } catch {
    return { problem: "it is not a valid public key" };
  }
}

function kindOf(key: KeyObject): KeyKind | Problem {
  if (key.type === "secret") return "secret";
  const { namedCurve = "", modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      if (modulusLength >= rsaBits.min && modulusLength <= rsaBits.max) return "RSA";
      return { problem: `its modulus has ${modulusLength} bits; ${rsaBits.min} to ${rsaBits.max} are supported` };
    case "ec":
      return curves[namedCurve] ?? { problem: `its curve ${namedCurve} is not supported` };
    case "ed25519":
      return "Ed25519";
    default:
      return { problem: "its key type is not supported" };
  }
}

function kindAlgorithms(kind: KeyKind): readonly JwtAlgorithm[] {
  return jwtAlgorithms.filter((name) => algorithms[name].kind === kind);
}

function verifyingKey(
  kid: string | undefined,
  kind: KeyKind,
  algorithms: readonly JwtAlgorithm[],
  key: KeyObject,
): VerifyingKey {
  return { kid, kind, algorithms: new Set(algorithms), key };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
