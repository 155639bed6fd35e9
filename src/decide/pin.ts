import { createHmac, timingSafeEqual } from "node:crypto";
import { SignatureCache } from "./bounded-cache.ts";
import type { CookieSpec } from "./release-spec.ts";
import { formatUnit, parseUnit, type Unit, unitPattern } from "./unit.ts";

/**
 * What the sticky cookie says of its bearer. `how` tells which step assigned the version: a `rule` is named, so that it
 * can be remembered on requests that do not carry what the rule reads.
 */
export interface Pin {
  readonly epoch: number;
  /** Since the Unix epoch. */
  readonly issuedAtSeconds: number;
  readonly version: string;
  readonly how: "split" | "default" | "rule";
  /** The rule's name; undefined unless `how` is `rule`. */
  readonly rule: string | undefined;
  readonly unit: Unit;
}

/** Why a cookie of the pin's name counts as none. */
export type PinRejection = "forged" | "expired" | "oversized" | "malformed";

const name = "[a-z0-9-]{1,63}";
const fields = `1\\.(0|[1-9]\\d{0,9})\\.(0|[1-9]\\d{0,11})\\.(${name})\\.(s|d|r-${name})\\.(${unitPattern})`;
const whole = new RegExp(`^${fields}$`);

/** The pattern of a pin's text. It has groups. */
const pinPattern = fields;

/** A pin's text without the signature: `1.<epoch>.<issued-at>.<version>.<how>.<unit>`. */
function formatPin(pin: Pin): string {
  return `1.${pin.epoch}.${pin.issuedAtSeconds}.${pin.version}.${formatHow(pin)}.${formatUnit(pin.unit)}`;
}

function formatHow(pin: Pin): string {
  if (pin.how === "rule") return `r-${pin.rule}`;
  return pin.how === "split" ? "s" : "d";
}

/** Reads what `formatPin` writes; undefined for any other text. */
function parsePin(text: string): Pin | undefined {
  const parts = whole.exec(text);
  if (parts === null) return undefined;
  const [, epoch, issuedAt, version = "", how = "", unit = ""] = parts;
  const rule = how.startsWith("r") ? how.slice(2) : undefined;
  return {
    epoch: Number(epoch),
    issuedAtSeconds: Number(issuedAt),
    version,
    how: rule !== undefined ? "rule" : how === "s" ? "split" : "default",
    rule,
    unit: parseUnit(unit),
  };
}

/** The longest pin is below 200 characters: names have at most 63. */
const maxText = 256;
/** A client holds one pin, or a few of other paths or domains; more are an attempt to make us compute. */
const maxSignatureChecks = 8;
/** At some 300 bytes each. Verifying a pin costs microseconds, finding it here a tenth of one. */
const defaultCacheLimit = 32_768;

/** HMAC-SHA256 truncated to 128 bits (RFC 2104 §5 allows half), far beyond guessing and 21 characters shorter. */
const signatureBytes = 16;

export const signatureLength = 22;

/** The pattern of a signature's text; its last character holds two bits only, so that each signature has one text. */
export const signaturePattern = "[A-Za-z0-9_-]{21}[AQgw]";

const shape = new RegExp(`^${pinPattern}\\.${signaturePattern}$`);
const sameSiteNames = { lax: "Lax", strict: "Strict", none: "None" } as const;

/** A cookie's value, and what it says if its signature is right. */
interface SignedPin {
  /** With the signature. */
  readonly text: string;
  readonly pin: Pin;
}

/**
 * A release's sticky cookie: `<pin>.<signature>`, the signature over the release's name, a dot and the pin. The first
 * secret signs, all verify.
 */
export class PinCookie {
  readonly #release: string;
  readonly #spec: CookieSpec;
  readonly #maxAgeSeconds: number;
  readonly #cookiesChecked: number;
  readonly #attributes: string;
  readonly #secureAttributes: string;
  readonly #verified: SignatureCache<SignedPin>;

  constructor(release: string, spec: CookieSpec, cacheLimit: number = defaultCacheLimit) {
    this.#release = release;
    this.#spec = spec;
    this.#maxAgeSeconds = Math.floor(spec.maxAgeMs / 1000);
    this.#cookiesChecked = Math.max(1, Math.floor(maxSignatureChecks / spec.secrets.length));
    this.#attributes = attributesOf(spec, this.#maxAgeSeconds, spec.secure === "always");
    this.#secureAttributes = attributesOf(spec, this.#maxAgeSeconds, spec.secure !== "never");
    this.#verified = new SignatureCache(cacheLimit);
  }

  /**
   * The first of a request's cookies of this name that verifies and has not expired. Each one that is passed over is
   * reported with the cause; those beyond eight signature checks are not looked at any more.
   */
  read(values: readonly string[], nowMs: number, rejected: (cause: PinRejection) => void): Pin | undefined {
    const nowSeconds = Math.floor(nowMs / 1000);
    let checksLeft = this.#cookiesChecked;
    for (const value of values) {
      const known = value.length > maxText ? undefined : this.#verified.get(value);
      const found = known ?? readShape(value);
      if (typeof found === "string") {
        rejected(found);
        continue;
      }
      if (known === undefined && --checksLeft < 0) continue;
      if (known === undefined && !this.#verify(found)) rejected("forged");
      else if (this.#isExpired(found.pin, nowSeconds)) rejected("expired");
      else return found.pin;
    }
    return undefined;
  }

  /** Whether a pin should be written anew though nothing in it changed: past half its life. */
  isAging(pin: Pin, nowSeconds: number): boolean {
    return (nowSeconds - pin.issuedAtSeconds) * 2 > this.#maxAgeSeconds;
  }

  /**
   * The value of a Set-Cookie header, its attributes always in this order: Max-Age, Path, Domain if configured, Secure,
   * HttpOnly, SameSite. `secure` tells whether the request came by https; it matters where the cookie's is `auto`.
   */
  write(pin: Pin, secure: boolean): string {
    const text = formatPin(pin);
    const [secret] = this.#spec.secrets;
    if (secret === undefined) throw new RangeError(`release ${this.#release}: no secret to sign pins with`);
    const signature = sign(secret, this.#message(text));
    return `${this.#spec.name}=${text}.${signature}${secure ? this.#secureAttributes : this.#attributes}`;
  }

  #message(text: string): string {
    return `${this.#release}.${text}`;
  }

  #isExpired(pin: Pin, nowSeconds: number): boolean {
    return pin.issuedAtSeconds + this.#maxAgeSeconds < nowSeconds;
  }

  #verify(found: SignedPin): boolean {
    const body = found.text.slice(0, -signatureLength - 1);
    if (!isSigned(this.#spec.secrets, this.#message(body), found.text.slice(-signatureLength))) return false;
    // Forged ones are never remembered, or anyone could push the honest ones out.
    this.#verified.add(found);
    return true;
  }
}

/** Everything about a cookie's value that can be told without computing a signature. */
function readShape(value: string): SignedPin | PinRejection {
  if (value.length > maxText) return "oversized";
  if (!shape.test(value)) return "malformed";
  // A copy of its own: the value may be a slice of the request's head, which the cache would keep alive.
  const text = Buffer.from(value, "latin1").toString("latin1");
  const pin = parsePin(text.slice(0, -signatureLength - 1));
  return pin === undefined ? "malformed" : { text, pin };
}

function attributesOf(spec: CookieSpec, maxAgeSeconds: number, secure: boolean): string {
  const domain = spec.domain === undefined ? "" : `; Domain=${spec.domain}`;
  const scope = `; Max-Age=${maxAgeSeconds}; Path=${spec.path}${domain}`;
  return `${scope}${secure ? "; Secure" : ""}; HttpOnly; SameSite=${sameSiteNames[spec.sameSite]}`;
}

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
  return createHmac("sha256", secret).update(message).digest().subarray(0, signatureBytes);
}
