import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

type Claims = Readonly<Record<string, unknown>>;

/** An issuer of tokens. jose makes them, so that Perch is tested against another implementation. */
export interface Signer {
  readonly alg: string;
  readonly kid: string;
  /** The public key, as in a key set. */
  readonly jwk: JWK;
  readonly privateKey: CryptoKey;
  token(claims: Claims, header?: Readonly<Record<string, unknown>>): Promise<string>;
}

export async function signer(alg: string, kid = "key-1"): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    alg,
    kid,
    jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" },
    privateKey,
    token: (claims, header = {}) =>
      new SignJWT(claims as JWTPayload).setProtectedHeader({ alg, kid, ...header }).sign(privateKey),
  };
}

export function secretToken(secret: Uint8Array, claims: Claims, alg = "HS256"): Promise<string> {
  return new SignJWT(claims as JWTPayload).setProtectedHeader({ alg }).sign(secret);
}

export const keySet = (...jwks: readonly JWK[]): string => JSON.stringify({ keys: jwks });

const base64url = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** A token with any parts. */
export function forged(header: unknown, payload: unknown, signature: Uint8Array | string = "AAAA"): string {
  const text = typeof signature === "string" ? signature : Buffer.from(signature).toString("base64url");
  return `${base64url(header)}.${base64url(payload)}.${text}`;
}
