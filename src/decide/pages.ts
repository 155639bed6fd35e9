import { ProvisionalUnits } from "./anonymous-unit.ts";
import type { Facts } from "./facts.ts";
import { type FetchDestination, fetchDestination, isFrame, isOfPage, isPrefetch } from "./fetch-destination.ts";
import { isBelow } from "./path-prefix.ts";
import type { Pin } from "./pin-content.ts";
import type { ReleaseSpec } from "./release-spec.ts";

/**
 * What belongs to a page, with `sticky.assets: follow-document`: the pin names the version of the document, and what the
 * page loads comes from that version until the next document. docs/first-contact.md has the cases.
 */
export class Pages {
  /** Units for requests without a pin. */
  readonly units: ProvisionalUnits;
  readonly #spec: ReleaseSpec["sticky"];
  readonly #versions: ReadonlySet<string>;

  private constructor(release: ReleaseSpec, secret: Uint8Array) {
    this.units = new ProvisionalUnits(release.name, secret);
    this.#spec = release.sticky;
    this.#versions = new Set(release.versions);
  }

  /** Undefined if requests are decided independently of pages. */
  static of(release: ReleaseSpec): Pages | undefined {
    const { assets, cookie } = release.sticky;
    const [secret] = cookie.secrets;
    return assets === "follow-document" && secret !== undefined ? new Pages(release, secret) : undefined;
  }

  /** Undefined if a browser did not say. */
  destinationOf(facts: Facts): FetchDestination | undefined {
    for (const prefix of this.#spec.assetPaths) if (isBelow(prefix, facts.path)) return "asset";
    return fetchDestination(facts);
  }

  /** As what a request follows the page that the pin names; undefined if it is decided by itself. */
  followed(pin: Pin, facts: Facts): "asset" | "call" | "prefetch" | undefined {
    if (!this.#versions.has(pin.version)) return undefined;
    const destination = this.destinationOf(facts);
    if (destination === "asset") return destination;
    // `<link rel=prefetch>` says empty for what the page or the next one embeds.
    if (isPrefetch(facts)) return destination === "call" ? "asset" : "prefetch";
    if (this.#spec.fetches !== "follow-document" || !isOfPage(facts)) return undefined;
    return destination === "call" || isFrame(facts) ? "call" : undefined;
  }
}
