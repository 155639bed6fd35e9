import type { Condition } from "./condition.ts";
import type { AddressRange } from "./ip-address.ts";

/** Version names to weights. A share is weight / sum; at least one weight is above zero. */
export type Weights = Readonly<Record<string, number>>;

export interface RuleSpec {
  readonly name: string;
  readonly when: Condition;
  /** A version's name, or weights to draw by. */
  readonly use: string | Weights;
}

export interface StickySpec {
  /** Which fact names the unit; absent: the pin's random id. */
  readonly by:
    | { readonly kind: "attribute"; readonly index: number; readonly name: string }
    | { readonly kind: "clientAddress" }
    | undefined;
  readonly salt: string;
  readonly whenWeightsChange: "follow" | "hold";
  readonly onWeightZero: "evict" | "drain";
  readonly epoch: number;
  /** Whether what a page loads follows the page, or is decided by itself. */
  readonly assets: "independent" | "follow-document";
  readonly cookie: CookieSpec;
}

export interface CookieSpec {
  readonly name: string;
  readonly maxAgeMs: number;
  readonly path: string;
  readonly domain: string | undefined;
  readonly secure: "auto" | "always" | "never";
  readonly sameSite: "lax" | "strict" | "none";
  /** The first signs, all verify. Never empty. */
  readonly secrets: readonly Uint8Array[];
}

/**
 * How a tester asks for a version. From `allowFrom` the value is a version's name; a token signed with one of `secrets`
 * counts from anywhere. With neither, nobody may.
 */
export interface OverrideSpec {
  /** Lower case. */
  readonly header: string | undefined;
  readonly cookie: string | undefined;
  /** The parameter of a link that sets the cookie; only where there is one. */
  readonly query: string | undefined;
  readonly allowFrom: readonly AddressRange[];
  readonly secrets: readonly Uint8Array[];
}

/** How what was assigned is told from service to service. */
export interface PropagationSpec {
  readonly header: PropagationHeader;
  /** Whether it is a member of the W3C baggage as well: `perch.<release>`. */
  readonly baggage: boolean;
  /** Callers, not the clients behind them, whose word counts in place of a decision. */
  readonly acceptFrom: readonly AddressRange[];
}

export const defaultPropagationHeader = "x-perch-release";

export interface PropagationHeader {
  /** Lower case. */
  readonly name: string;
  /** `releases`: `shop=canary, other=v2`. `version`: a version's word alone, or a JSON map of them by service. */
  readonly format: "releases" | "version";
  /** What the header calls versions, where it is not their name. */
  readonly words: readonly { readonly version: string; readonly word: string }[];
}

/** A release as the configuration compiles it: a traffic policy that several routes may share. */
export interface ReleaseSpec {
  readonly name: string;
  /** Every version that a rule, the split or a paired service names; the first is of no special meaning. */
  readonly versions: readonly string[];
  readonly sticky: StickySpec;
  readonly override: OverrideSpec | undefined;
  readonly rules: readonly RuleSpec[];
  readonly split: Weights | undefined;
  readonly propagate: PropagationSpec | undefined;
}
