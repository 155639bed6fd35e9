import { formatPin, type Pin, type PinRejection, parsePin, pinPattern } from "./pin.ts";
import type { CookieSpec } from "./release.ts";
import { isSigned, sign, signatureLength, signaturePattern } from "./signature.ts";
import { VerifiedTexts } from "./verified-texts.ts";

/** The longest pin is below 200 characters: names have at most 63. */
const longestText = 256;
/** A client holds one pin, or a few of other paths or domains; more are an attempt to make us compute. */
const mostSignatureChecks = 8;
/** At some 300 octets each. Verifying a pin costs microseconds, finding it here a tenth of one. */
const defaultCacheLimit = 32_768;

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
  readonly #verified: VerifiedTexts<SignedPin>;

  constructor(release: string, spec: CookieSpec, cacheLimit: number = defaultCacheLimit) {
    this.#release = release;
    this.#spec = spec;
    this.#maxAgeSeconds = Math.floor(spec.maxAgeMs / 1000);
    this.#cookiesChecked = Math.max(1, Math.floor(mostSignatureChecks / spec.secrets.length));
    this.#attributes = attributesOf(spec, this.#maxAgeSeconds, spec.secure === "always");
    this.#secureAttributes = attributesOf(spec, this.#maxAgeSeconds, spec.secure !== "never");
    this.#verified = new VerifiedTexts(cacheLimit);
  }

  /**
   * The first of a request's cookies of this name that verifies and has not expired. Each one that is passed over is
   * reported with the cause; those beyond eight signature checks are not looked at any more.
   */
  read(values: readonly string[], nowMs: number, rejected: (cause: PinRejection) => void): Pin | undefined {
    const nowSeconds = Math.floor(nowMs / 1000);
    let checksLeft = this.#cookiesChecked;
    for (const value of values) {
      const known = value.length > longestText ? undefined : this.#verified.get(value);
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
  if (value.length > longestText) return "oversized";
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
