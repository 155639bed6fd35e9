import type { Trail } from "./decision.ts";
import type { Address } from "./ip-address.ts";
import { isSigned, sign, signatureLength, signaturePattern } from "./pin.ts";
import type { OverrideSpec } from "./release-spec.ts";

const token = new RegExp(`^1\\.([1-9]\\d{0,11})\\.([a-z0-9-]{1,63})\\.${signaturePattern}$`);

/** Hears why a value does not count. */
type Told = Pick<Trail, "push">;

/** A version that a tester may have. */
export interface Admission {
  readonly version: string;
  /** Undefined where it does not end by itself. */
  readonly expiresAtMs: number | undefined;
}

/** Judges who may ask for a version by name, and until when. */
export class Overrides {
  readonly #release: string;
  readonly #spec: OverrideSpec;
  readonly #versions: ReadonlySet<string>;

  constructor(release: string, spec: OverrideSpec, versions: readonly string[]) {
    this.#release = release;
    this.#spec = spec;
    this.#versions = new Set(versions);
  }

  /** The version that a value asks for, where it counts; see `admit`. */
  resolve(value: string, client: Address | undefined, nowMs: number, trail?: Told): string | undefined {
    return this.admit(value, client, nowMs, trail)?.version;
  }

  /**
   * What the value of the override's header, cookie or link asks for, or undefined where it does not count. From
   * `allowFrom` the value is a version's name; from anywhere it may be a token that `createOverrideToken` made with one
   * of `secrets` and that has not expired. `client` is the derived client address, undefined for a unix socket.
   */
  admit(value: string, client: Address | undefined, nowMs: number, trail?: Told): Admission | undefined {
    if (this.#versions.has(value)) {
      if (client !== undefined && this.#spec.allowFrom.some((range) => range.contains(client))) {
        return { version: value, expiresAtMs: undefined };
      }
      return ignored(`${client?.text ?? "an unknown address"} is not in allowFrom`, trail);
    }
    const parts = token.exec(value);
    if (parts === null) return ignored("the value is neither a version of this release nor a token", trail);
    const body = value.slice(0, -signatureLength - 1);
    if (!isSigned(this.#spec.secrets, message(this.#release, body), value.slice(-signatureLength))) {
      return ignored("the token's signature is not ours", trail);
    }
    const [, expiresAtSeconds, version = ""] = parts;
    const expiresAtMs = Number(expiresAtSeconds) * 1000;
    if (expiresAtMs <= nowMs) return ignored(`the token expired at ${new Date(expiresAtMs).toISOString()}`, trail);
    if (!this.#versions.has(version)) return ignored(`the token's version ${version} is not in this release`, trail);
    return { version, expiresAtMs };
  }
}

function ignored(detail: string, trail: Told | undefined): undefined {
  trail?.push({ stage: "override", outcome: "ignored", detail });
  return undefined;
}

/** Never the same as a pin's message, which has seven fields to this one's five, so neither can pass for the other. */
function message(release: string, body: string): string {
  return `override.${release}.${body}`;
}

/**
 * Makes a token that lets its bearer choose `version` of `release` from anywhere until it expires:
 * `1.<expires-at in seconds>.<version>.<signature>`. The moment is cut down to whole seconds.
 */
export function createOverrideToken(secret: Uint8Array, release: string, version: string, expiresAtMs: number): string {
  const body = `1.${Math.floor(expiresAtMs / 1000)}.${version}`;
  return `${body}.${sign(secret, message(release, body))}`;
}
