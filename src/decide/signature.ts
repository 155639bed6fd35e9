import { createHmac, timingSafeEqual } from "node:crypto";

/** HMAC-SHA256 truncated to 128 bits (RFC 2104 §5 allows half), far beyond guessing and 21 characters shorter. */
const signatureOctets = 16;

export const signatureLength = 22;

/** The pattern of a signature's text; its last character holds two bits only, so that each signature has one text. */
export const signaturePattern = "[A-Za-z0-9_-]{21}[AQgw]";

/** Signs an ASCII message; base64url, 22 characters. */
export function sign(secret: Uint8Array, message: string): string {
  return digest(secret, message).toString("base64url");
}

/** Whether one of the secrets made this signature, which the caller has checked to be of `signaturePattern`. */
export function isSigned(secrets: readonly Uint8Array[], message: string, signature: string): boolean {
  const given = Buffer.from(signature, "base64url");
  return secrets.some((secret) => timingSafeEqual(given, digest(secret, message)));
}

function digest(secret: Uint8Array, message: string): Buffer {
  return createHmac("sha256", secret).update(message).digest().subarray(0, signatureOctets);
}
