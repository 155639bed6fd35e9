import type { Condition } from "./condition.ts";
import type { AddressRange } from "./ip-address.ts";
import type { RolloutSpec } from "./rollout-spec.ts";

/** Weights by version name. A version's share is weight / sum; at least one weight is above zero. */
export type Weights = Readonly<Record<string, number>>;

export interface RuleSpec {
  readonly name: string;
  readonly when: Condition;
  /** A version's name, weights for a draw, or the rollout's draw. */
  readonly use: string | Weights | typeof useRollout;
  /** Whether the rule still gives the rollout's candidate after it was rolled back. Default: `withdraw`. */
  readonly onRollback?: "withdraw" | "keep";
}

/** The `use` of a rule that is drawn by the release's rollout. */
export const useRollout: unique symbol = Symbol("rollout");

export function describeUse(use: RuleSpec["use"]): string {
  if (typeof use === "string") return use;
  if (use === useRollout) return "rollout";
  const weights = Object.entries(use).map(([version, weight]) => `${version}: ${weight}`);
  return `{ ${weights.join(", ")} }`;
}

export interface StickySpec {
  /** The fact that the unit is derived from; undefined: the pin's random unit. */
  readonly by:
    | { readonly kind: "attribute"; readonly index: number; readonly name: string }
    | { readonly kind: "clientAddress" }
    | undefined;
  readonly salt: string;
  readonly whenWeightsChange: "follow" | "hold";
  readonly onWeightZero: "evict" | "drain";
  readonly epoch: number;
  /** Whether a page's assets come from the version of their document or get a decision of their own. */
  readonly assets: "independent" | "follow-document";
  /** The same for what a page's scripts fetch; `follow-document` requires it of `assets`. */
  readonly fetches: "independent" | "follow-document";
  /** Prefixes, by segment, of paths that are assets whatever the browser says, without a trailing slash. */
  readonly assetPaths: readonly string[];
  readonly cookie: CookieSpec;
}

export interface CookieSpec {
  readonly name: string;
  /** `session`: no Max-Age, so browsers keep the cookie until their session ends. */
  readonly maxAgeMs: number | "session";
  readonly path: string;
  readonly domain: string | undefined;
  readonly secure: "auto" | "always" | "never";
  /** Sent as `lax` where a `none` cookie would not be Secure, since browsers drop that. */
  readonly sameSite: "lax" | "strict" | "none";
  /** Whether a Secure cookie is also Partitioned (CHIPS): browsers keep one for each top-level site. */
  readonly partitioned: boolean;
  /** The first signs, all verify. Never empty. */
  readonly secrets: readonly Uint8Array[];
}

/**
 * How testers choose a version. Clients in `allowFrom` send a version's name; any client may send a token signed with
 * one of `secrets`. If both are empty, every override is ignored.
 */
export interface OverrideSpec {
  /** Lower case. */
  readonly header: string | undefined;
  readonly cookie: string | undefined;
  /** The query parameter of a link that sets the cookie; requires `cookie`. */
  readonly query: string | undefined;
  readonly allowFrom: readonly AddressRange[];
  readonly secrets: readonly Uint8Array[];
}

/** How the assigned version is propagated from service to service. */
export interface PropagationSpec {
  readonly header: PropagationHeader;
  /** Whether to add it to the W3C baggage as well, as `perch.<release>`. */
  readonly baggage: boolean;
  /** Callers (not the clients behind them) whose propagated version replaces a decision. */
  readonly acceptFrom: readonly AddressRange[];
}

export interface PropagationHeader {
  /** Lower case. */
  readonly name: string;
  /** `releases`: `shop=canary, other=v2`. `version`: one version, or a JSON map of versions by service. */
  readonly format: "releases" | "version";
  /** The header's words for versions, if they differ from the names. */
  readonly words: readonly { readonly version: string; readonly word: string }[];
}

export const defaultPropagationHeader = "x-perch-release";

/** A release, as compiled from the configuration: a traffic policy that several routes may share. */
export interface ReleaseSpec {
  readonly name: string;
  /** Every version that a rule, the split or a paired service names, in no meaningful order. */
  readonly versions: readonly string[];
  readonly sticky: StickySpec;
  readonly override: OverrideSpec | undefined;
  readonly rules: readonly RuleSpec[];
  readonly split: Weights | undefined;
  readonly propagate: PropagationSpec | undefined;
  readonly rollout: RolloutSpec | undefined;
}
