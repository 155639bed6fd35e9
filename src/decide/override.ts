import type { Trail } from "./decision.ts";
import type { Address } from "./ip-address.ts";
import { isSigned, sign, signatureLength, signaturePattern } from "./pin.ts";
import type { OverrideSpec } from "./release-spec.ts";

/** Receives the reason why a value is ignored. */
type TrailSink = Pick<Trail, "push">;

/** A version that a client is allowed to choose. */
export interface Admission {
  readonly version: string;
  /** Undefined if it does not expire. */
  readonly expiresAtMs: number | undefined;
}

const token = new RegExp(`^1\\.([1-9]\\d{0,11})\\.([a-z0-9-]{1,63})\\.${signaturePattern}$`);

/** Decides which clients may choose a version, and until when. */
export class Overrides {
  readonly #release: string;
  readonly #spec: OverrideSpec;
  readonly #versions: ReadonlySet<string>;

  constructor(release: string, spec: OverrideSpec, versions: readonly string[]) {
    this.#release = release;
    this.#spec = spec;
    this.#versions = new Set(versions);
  }

  /** The version of `admit`. */
  resolve(value: string, client: Address | undefined, nowMs: number, trail?: TrailSink): string | undefined {
    return this.admit(value, client, nowMs, trail)?.version;
  }

  /**
   * Checks the value of the override header, cookie or link; undefined if it is ignored. Clients in `allowFrom` may
   * send a version's name; any client may send an unexpired token that `createOverrideToken` made with one of
   * `secrets`. `client` is the derived client address, undefined for a unix socket.
   */
  admit(value: string, client: Address | undefined, nowMs: number, trail?: TrailSink): Admission | undefined {
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
      return ignored("the token's signature does not verify with any configured secret", trail);
    }
    const [, expiresAtSeconds, version = ""] = parts;
    const expiresAtMs = Number(expiresAtSeconds) * 1000;
    if (expiresAtMs <= nowMs) return ignored(`the token expired at ${new Date(expiresAtMs).toISOString()}`, trail);
    if (!this.#versions.has(version)) return ignored(`the token's version ${version} is not in this release`, trail);
    return { version, expiresAtMs };
  }
}

function ignored(detail: string, trail: TrailSink | undefined): undefined {
  trail?.push({ stage: "override", outcome: "ignored", detail });
  return undefined;
}

/** Five fields, whereas a pin's signed message has seven: neither signature verifies for the other. */
function message(release: string, body: string): string {
  return `override.${release}.${body}`;
}

/**
 * Creates a token that lets any client choose `version` of `release` until it expires:
 * `1.<expires-at in seconds>.<version>.<signature>`. The expiry is rounded down to whole seconds.
 */
export function createOverrideToken(secret: Uint8Array, release: string, version: string, expiresAtMs: number): string {
  const body = `1.${Math.floor(expiresAtMs / 1000)}.${version}`;
  return `${body}.${sign(secret, message(release, body))}`;
}
