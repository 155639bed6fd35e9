import { createHmac, timingSafeEqual } from "node:crypto";
import { cookieAttributes } from "./cookie-attributes.ts";
import type { Pin } from "./pin-content.ts";
import type { CookieSpec } from "./release-spec.ts";
import { formatUnit, parseUnit, unitPattern } from "./unit.ts";
import { VerifiedPins } from "./verified-pins.ts";

/** Why a cookie of the pin's name is rejected. */
export type PinRejection = "forged" | "expired" | "oversized" | "malformed";

/** The bytes of cookies of a pin's name, in a request's order. */
export interface PinBytes {
  readonly bytes: Uint8Array;
  /** Pairs: where each value starts and ends, exclusive. */
  readonly places: Int32Array;
  readonly count: number;
}

/** A cookie's value with its content, before verification. */
interface SignedPin {
  /** Includes the signature. */
  readonly text: string;
  readonly pin: Pin;
}

/** A pin has less than 200 characters: names have at most 63. */
const maxLength = 256;
/** A client has one pin, or a few for other paths or domains; more are an attempt to exhaust the CPU. */
const maxSignatureChecks = 8;
/** Entries of about 300 bytes. Verifying a pin takes microseconds, a cache hit a tenth of one. */
const defaultCacheLimit = 32_768;
/**
 * How long a pin with `maxAge: session` is valid. Browsers that restore their session keep session cookies for as long
 * as they are used, and a copied pin must not be valid for ever.
 */
const sessionPinMs = 30 * 86_400_000;
/** Browsers keep no cookie for longer (RFC 6265bis §5.5: 400 days). */
export const maxKeptSeconds: number = 400 * 86_400;

/**
 * A release's sticky cookie: `<pin>.<signature>`, where the signature covers the release's name, a dot and the pin. The
 * first secret signs, all verify.
 */
export class PinCookie {
  readonly #release: string;
  readonly #spec: CookieSpec;
  /** How long a pin is valid. */
  readonly #lifetimeSeconds: number;
  /** How long a browser keeps a pin. */
  readonly #keptSeconds: number;
  readonly #maxCookiesChecked: number;
  readonly #attributes: string;
  readonly #secureAttributes: string;
  readonly #verified: VerifiedPins;
  /** Signatures that may still be checked for the current request. */
  #checksLeft = 0;

  /** `nameBytes`: the longest version and rule of the release together; pins of longer ones are verified each time. */
  constructor(release: string, spec: CookieSpec, nameBytes = 126, cacheLimit: number = defaultCacheLimit) {
    this.#release = release;
    this.#spec = spec;
    this.#lifetimeSeconds = Math.floor((spec.maxAgeMs === "session" ? sessionPinMs : spec.maxAgeMs) / 1000);
    this.#keptSeconds = Math.min(this.#lifetimeSeconds, maxKeptSeconds);
    this.#maxCookiesChecked = Math.max(1, Math.floor(maxSignatureChecks / spec.secrets.length));
    const maxAge = spec.maxAgeMs === "session" ? undefined : this.#lifetimeSeconds;
    this.#attributes = cookieAttributes(spec, maxAge, "http", spec.sameSite);
    this.#secureAttributes = cookieAttributes(spec, maxAge, "https", spec.sameSite);
    this.#verified = new VerifiedPins(cacheLimit, nameBytes);
  }

  /**
   * The first of a request's cookies of this name that verifies and has not expired. `rejected` is called for each
   * cookie before it; cookies over the limit of signature checks are skipped without a report.
   */
  read(values: readonly string[], nowMs: number, rejected: (cause: PinRejection) => void): Pin | undefined {
    this.#checksLeft = this.#maxCookiesChecked;
    for (const value of values) {
      const isBytes = value.length <= maxLength && isAscii.test(value);
      if (isBytes) scratch.write(value, "latin1");
      const found = isBytes ? this.#readAt(scratch, 0, value.length, nowMs) : unreadable(value);
      if (typeof found === "string") rejected(found);
      else if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The same for values that are still bytes: those between pairs of positions. */
  readBytes(
    { bytes, places, count }: PinBytes,
    nowMs: number,
    rejected: (cause: PinRejection) => void,
  ): Pin | undefined {
    this.#checksLeft = this.#maxCookiesChecked;
    for (let at = 0; at < count; at++) {
      const found = this.#readAt(bytes, places[at * 2] as number, places[at * 2 + 1] as number, nowMs);
      if (typeof found === "string") rejected(found);
      else if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The pin, why it is rejected, or undefined if the limit of signature checks is reached. */
  #readAt(bytes: Uint8Array, from: number, to: number, nowMs: number): Pin | PinRejection | undefined {
    const slot = this.#verified.find(bytes, from, to);
    const pin = slot < 0 ? this.#verify(bytes, from, to) : this.#verified.pinAt(slot);
    if (pin === undefined || typeof pin === "string") return pin;
    return this.#isExpired(pin, Math.floor(nowMs / 1000)) ? "expired" : pin;
  }

  /** Whether an otherwise unchanged pin should be renewed: half the time that a browser keeps it has passed. */
  isAging(pin: Pin, nowSeconds: number): boolean {
    return (nowSeconds - pin.issuedAtSeconds) * 2 > this.#keptSeconds;
  }

  /** The value of a Set-Cookie header. `isHttps`: whether the request came by https; see `cookieAttributes`. */
  write(pin: Pin, isHttps: boolean): string {
    const text = formatPin(pin);
    const [secret] = this.#spec.secrets;
    if (secret === undefined) throw new RangeError(`release ${this.#release}: no secret to sign pins with`);
    const signature = sign(secret, this.#message(text));
    return `${this.#spec.name}=${text}.${signature}${isHttps ? this.#secureAttributes : this.#attributes}`;
  }

  #message(text: string): string {
    return `${this.#release}.${text}`;
  }

  #isExpired(pin: Pin, nowSeconds: number): boolean {
    return pin.issuedAtSeconds + this.#lifetimeSeconds < nowSeconds;
  }

  #verify(bytes: Uint8Array, from: number, to: number): Pin | PinRejection | undefined {
    if (to - from > maxLength) return "oversized";
    const found = parseValue(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1"));
    if (typeof found === "string") return found;
    if (--this.#checksLeft < 0) return undefined;
    const body = found.text.slice(0, -signatureLength - 1);
    if (!isSigned(this.#spec.secrets, this.#message(body), found.text.slice(-signatureLength))) return "forged";
    // Only verified pins are held: otherwise any client could evict the valid ones.
    this.#verified.add(bytes, from, to, found.pin);
    return found.pin;
  }
}

const scratch = Buffer.alloc(maxLength);
const isAscii = /^[ -~]*$/;

/** HMAC-SHA256 truncated to 128 bits (RFC 2104 §5 allows half): infeasible to guess, and 21 characters shorter. */
const signatureBytes = 16;

export const signatureLength = 22;

/** Matches a signature; its last character carries only two bits, so that each signature has one spelling. */
export const signaturePattern = "[A-Za-z0-9_-]{21}[AQgw]";

const name = "[a-z0-9-]{1,63}";
/** Matches `1.<epoch>.<issued-at>.<version>.<how>.<unit>`, with a group for each field after the format number. */
const pinPattern = `1\\.(0|[1-9]\\d{0,9})\\.(0|[1-9]\\d{0,11})\\.(${name})\\.(s|d|r-${name}|g-[0-9a-f]{8})\\.(${unitPattern})`;
const unsignedValue = new RegExp(`^${pinPattern}$`);
const signedValue = new RegExp(`^${pinPattern}\\.${signaturePattern}$`);

function unreadable(value: string): PinRejection {
  return value.length > maxLength ? "oversized" : "malformed";
}

/** All checks of a cookie's value that do not compute a signature. */
function parseValue(value: string): SignedPin | PinRejection {
  if (!signedValue.test(value)) return "malformed";
  const pin = parsePin(value.slice(0, -signatureLength - 1));
  return pin === undefined ? "malformed" : { text: value, pin };
}

/** Parses what `formatPin` writes; undefined for any other text. */
function parsePin(text: string): Pin | undefined {
  const parts = unsignedValue.exec(text);
  if (parts === null) return undefined;
  const [, epoch, issuedAt, version = "", how = "", unit = ""] = parts;
  return {
    epoch: Number(epoch),
    issuedAtSeconds: Number(issuedAt),
    version,
    how: howByLetter[how.charAt(0)] ?? "default",
    rule: how.length > 1 ? how.slice(2) : undefined,
    unit: parseUnit(unit),
  };
}

const howByLetter: Readonly<Record<string, Pin["how"]>> = { s: "split", d: "default", r: "rule", g: "ring" };

/** The cookie's value without the signature. */
function formatPin(pin: Pin): string {
  return `1.${pin.epoch}.${pin.issuedAtSeconds}.${pin.version}.${formatHow(pin)}.${formatUnit(pin.unit)}`;
}

function formatHow(pin: Pin): string {
  if (pin.how === "rule") return `r-${pin.rule}`;
  if (pin.how === "ring") return `g-${pin.rule}`;
  return pin.how === "split" ? "s" : "d";
}

/** Signs an ASCII message; base64url, 22 characters. */
export function sign(secret: Uint8Array, message: string): string {
  return digest(secret, message).toString("base64url");
}

/** Whether one of the secrets made this signature; the caller has matched it with `signaturePattern`. */
export function isSigned(secrets: readonly Uint8Array[], message: string, signature: string): boolean {
  const given = Buffer.from(signature, "base64url");
  return secrets.some((secret) => timingSafeEqual(given, digest(secret, message)));
}

function digest(secret: Uint8Array, message: string): Buffer {
  return createHmac("sha256", secret).update(message).digest().subarray(0, signatureBytes);
}
