import { createHmac } from "node:crypto";
import { BoundedCache } from "./bounded-cache.ts";
import type { Facts } from "./facts.ts";
import { hashText } from "./hash.ts";
import type { Unit } from "./unit.ts";

/**
 * How long requests without a pin that look alike are taken for one page's: longer than its first requests take, short
 * enough that a crowd of equal browsers behind one address is not one unit for long.
 */
const windowMs = 30_000;

/** Browsers of one generation whose window is remembered. */
const defaultMemoryLimit = 8_192;

interface Contact {
  /** Whose requests: a digest, as text. */
  readonly browser: string;
  readonly window: number;
  readonly sinceMs: number;
}

/**
 * Units for requests that bring no pin, the same for all that one page's first load sends: the document has not set its
 * pin yet, or can not, when the others are on their way. The unit is a keyed digest of what these requests have in common
 * (client address, User-Agent, Accept-Language) and of the window of time, so every replica gives the same one.
 *
 * Windows end in the middle of loads. What this process remembers of a browser mends that: a page's parts keep to the
 * window of their document, and without one to that of the first of them.
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

  /** Undefined where the client's address is not known: then too many would be one. */
  unit(part: FetchDestination, facts: Facts, nowMs: number): Unit | undefined {
    const { clientAddress } = facts;
    if (clientAddress === undefined) return undefined;
    const browser = this.#digest(
      clientAddress.text,
      facts.header("user-agent") ?? "",
      facts.header("accept-language") ?? "",
    );
    const { h1, h2 } = hashText(`${browser} ${this.#windowOf(part, browser, nowMs)}`, 0);
    return { source: "random", hi: h1, lo: h2 };
  }

  #windowOf(part: FetchDestination, browser: string, nowMs: number): number {
    const known = part === "document" ? undefined : this.#recent.get(browser);
    if (known !== undefined && Math.abs(nowMs - known.sinceMs) < windowMs) return known.window;
    const window = Math.floor(nowMs / windowMs);
    this.#recent.add({ browser, window, sinceMs: nowMs });
    return window;
  }

  /** No pin's or token's signature: those are made of names and numbers, which hold no NUL. */
  #digest(...parts: readonly string[]): string {
    const hmac = createHmac("sha256", this.#secret).update(`first-contact\0${this.#release}\0${parts.join("\0")}`);
    return hmac.digest("base64url").slice(0, 22);
  }
}

/**
 * What a request is to the page that it belongs to, as the browser says in Sec-Fetch-Dest (W3C Fetch Metadata): a document,
 * something that the document needs to be what it is, or a call that its scripts make. Undefined where nobody says: the
 * header is sent over https and to localhost, by every browser since 2023, and no script can set it.
 */
export type FetchDestination = "document" | "asset" | "call";

const assets: ReadonlySet<string> = new Set([
  "audio",
  "audioworklet",
  "dictionary",
  "font",
  "image",
  "json",
  "manifest",
  "paintworklet",
  "script",
  "serviceworker",
  "sharedworker",
  "style",
  "text",
  "track",
  "video",
  "worker",
  "xslt",
]);

const calls: ReadonlySet<string> = new Set(["empty", "report", "webidentity", "websocket"]);

export function fetchDestination(facts: Facts): FetchDestination | undefined {
  const destination = facts.header("sec-fetch-dest");
  if (destination === undefined) return undefined;
  if (calls.has(destination)) return "call";
  return assets.has(destination) && isOfThisSite(facts) ? "asset" : "document";
}

/** Another site's page has no version of ours, whatever it shows of us. */
function isOfThisSite(facts: Facts): boolean {
  const site = facts.header("sec-fetch-site");
  return site === "same-origin" || site === "same-site";
}
