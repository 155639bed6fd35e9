import type { Facts } from "./facts.ts";
import type { Pin } from "./pin-content.ts";
import type { RandomSource, Unit } from "./unit.ts";

/** Everything a decision depends on: it reads neither the clock nor a random generator itself. */
export interface DecisionRequest {
  readonly facts: Facts;
  /** The verified pin, from `Release.readPin`. */
  readonly pin: Pin | undefined;
  /** The version that an override asks for, from `Overrides.resolve`: already authorised. */
  readonly override: string | undefined;
  /** The version that a caller in `acceptFrom` decided on; this release may not have it. */
  readonly propagated: string | undefined;
  /** The default version of the route's service. */
  readonly defaultVersion: string;
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
  readonly random: RandomSource;
}

interface Assignment {
  /** The assigned version. A fallback may serve another. */
  readonly version: string;
  /** The pin to write; undefined if the client's pin is up to date. */
  readonly pin: Pin | undefined;
  /** Whether the pin of the same requester named another version. */
  readonly flipped: boolean;
  /** The probability of the rollout's candidate, 0 to 1, if the rollout drew the unit to it or to the baseline. */
  readonly odds: number | undefined;
}

/** Which version a request gets, and why. */
export type Decision =
  /** Named by the request: no unit is derived (except for an explanation) and no pin is written. */
  | (Assignment & {
      readonly reason: "override" | "propagated";
      readonly rule: undefined;
      readonly unit: Unit | undefined;
    })
  /** Of a CORS preflight, which has no user: it is neither drawn nor counted. `rule` names the one that decided. */
  | (Assignment & { readonly reason: "preflight"; readonly rule: string | undefined; readonly unit: undefined })
  | (Assignment & { readonly reason: "rule"; readonly rule: string; readonly unit: Unit })
  /** By the pin, which replaces a rule (`rule` names it) or the split's draw. */
  | (Assignment & { readonly reason: "pin"; readonly rule: string | undefined; readonly unit: Unit })
  | (Assignment & { readonly reason: "split" | "default"; readonly rule: undefined; readonly unit: Unit });

/** The steps of a decision, in order. */
export type Stage =
  | "override"
  | "propagated"
  | "preflight"
  | "unit"
  | "pin"
  | "rule"
  | "split"
  | "rollout"
  | "default"
  | "cookie";

/** What one step of a decision did, and why, in text for people. */
export interface TrailEntry {
  readonly stage: Stage;
  readonly outcome:
    | "ignored"
    | "used"
    | "void"
    | "remembered"
    | "followed"
    | "matched"
    | "not-matched"
    | "skipped"
    | "drawn"
    | "kept"
    | "written"
    | "unchanged";
  readonly detail: string;
}

/** Collects the steps of a decision for an explanation. Requests pass none, at no cost. */
export type Trail = TrailEntry[];

/** A trail that prefixes the detail of each entry with the source of the value. */
export function prefixTrail(source: string, trail: Trail | undefined): Pick<Trail, "push"> | undefined {
  return (
    trail && {
      push: (...steps) => trail.push(...steps.map((step) => ({ ...step, detail: `${source}: ${step.detail}` }))),
    }
  );
}
