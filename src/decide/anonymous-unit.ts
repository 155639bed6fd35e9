import { createHmac } from "node:crypto";
import { BoundedCache } from "./bounded-cache.ts";
import type { Facts } from "./facts.ts";
import type { FetchDestination } from "./fetch-destination.ts";
import { hashText } from "./hash.ts";
import type { Unit } from "./unit.ts";

/**
 * How long similar requests without a pin count as one page load: longer than the first requests of a page take, short
 * enough that identical browsers behind one address do not share a unit for long.
 */
const windowMs = 30_000;

/** Browsers per cache generation. */
const defaultMemoryLimit = 8_192;

interface Contact {
  /** A digest that identifies the browser. */
  readonly browser: string;
  readonly window: number;
  readonly sinceMs: number;
}

/**
 * Units for requests without a pin. All requests of a page's first load get the same unit: the document has not set its
 * pin yet, or cannot, when the others are sent. The unit is a keyed digest of what they have in common (client address,
 * User-Agent, Accept-Language) and of the time window, so every replica computes the same one.
 *
 * A window may end in the middle of a page load. The process therefore remembers each browser's window: assets and
 * calls stay in the window of their document or, without one, in that of the first request.
 */
export class ProvisionalUnits {
  readonly #release: string;
  readonly #secret: Uint8Array;
  readonly #recent: BoundedCache<Contact>;

  constructor(release: string, secret: Uint8Array, memoryLimit: number = defaultMemoryLimit) {
    this.#release = release;
    this.#secret = secret;
    this.#recent = new BoundedCache(memoryLimit, (contact) => contact.browser);
  }

  /** Undefined if the client address is unknown: too many clients would share one unit. */
  unit(destination: FetchDestination, facts: Facts, nowMs: number): Unit | undefined {
    const { clientAddress } = facts;
    if (clientAddress === undefined) return undefined;
    const browser = this.#digest(
      clientAddress.text,
      facts.header("user-agent") ?? "",
      facts.header("accept-language") ?? "",
    );
    const { h1, h2 } = hashText(`${browser} ${this.#windowOf(destination, browser, nowMs)}`, 0);
    return { source: "random", hi: h1, lo: h2 };
  }

  #windowOf(destination: FetchDestination, browser: string, nowMs: number): number {
    const known = destination === "document" ? undefined : this.#recent.get(browser);
    if (known !== undefined && Math.abs(nowMs - known.sinceMs) < windowMs) return known.window;
    const window = Math.floor(nowMs / windowMs);
    this.#recent.add({ browser, window, sinceMs: nowMs });
    return window;
  }

  /** Cannot collide with the signature of a pin or token: their messages contain no NUL. */
  #digest(...parts: readonly string[]): string {
    const hmac = createHmac("sha256", this.#secret).update(`first-contact\0${this.#release}\0${parts.join("\0")}`);
    return hmac.digest("base64url").slice(0, 22);
  }
}
