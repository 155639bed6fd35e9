/** Why a token gives no attribute. Each is one label value, whatever a client sent. */
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

/** Why a text that was there gives no attribute. */
export const textFailures = ["unparsable", "repeated"] as const;

/** Why an address gives no place: what the database has of it can not be read. */
export const placeFailures = ["geo-unreadable"] as const;

/** Why a value that was there could not be used. */
export type AttributeErrorCause = (typeof textFailures)[number] | TokenFailure | (typeof placeFailures)[number];

/** Stands in for the text of a source that holds something, but nothing that can be used. */
export class AttributeError {
  readonly cause: AttributeErrorCause;

  constructor(cause: AttributeErrorCause) {
    this.cause = cause;
  }
}
