/** Why a token provides no attributes. These are metric label values, so they must not depend on what a client sent. */
export const tokenFailures = [
  "jwt-oversized",
  "jwt-malformed",
  "jwt-algorithm",
  "jwt-key",
  "jwt-signature",
  "jwt-expired",
  "jwt-not-yet-valid",
  "jwt-issuer",
  "jwt-audience",
] as const;
export type TokenFailure = (typeof tokenFailures)[number];

/** Why a present text provides no attribute. */
export const textFailures = ["unparsable", "repeated"] as const;

/** Why an address provides no place: its database record cannot be read. */
export const placeFailures = ["geo-unreadable"] as const;

/** Why a present value cannot be used. */
export type AttributeErrorCause = (typeof textFailures)[number] | TokenFailure | (typeof placeFailures)[number];

/** Replaces the text of a source whose value is present but cannot be used. */
export class AttributeError {
  readonly cause: AttributeErrorCause;

  constructor(cause: AttributeErrorCause) {
    this.cause = cause;
  }
}
