import type { Facts } from "./facts.ts";
import type { Pin } from "./pin.ts";
import type { RandomSource, Unit } from "./unit.ts";

/** Everything a decision depends on: nothing else is looked at, no clock and no generator. */
export interface DecisionRequest {
  readonly facts: Facts;
  /** The verified pin, from `Release.readPin`. */
  readonly pin: Pin | undefined;
  /** The version that an override asks for, from `Overrides.resolve`: already allowed. */
  readonly override: string | undefined;
  /** The version that a caller in `acceptFrom` decided on; it need not be one that this release knows. */
  readonly propagated: string | undefined;
  /** The default version of the route's service. */
  readonly defaultVersion: string;
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
  readonly random: RandomSource;
}

interface Assignment {
  /** The version assigned. What is served may differ, by fallback. */
  readonly version: string;
  /** The pin to write; undefined where the client's is right as it is. */
  readonly pin: Pin | undefined;
  /** Whether a verified pin of the same requester held another version than the one now assigned. */
  readonly flipped: boolean;
}

/** Which version a request gets, and why. */
export type Decision =
  /** Said by the request; no unit is looked for (but for an explanation) and no pin is written. */
  | (Assignment & {
      readonly reason: "override" | "propagated";
      readonly rule: undefined;
      readonly unit: Unit | undefined;
    })
  | (Assignment & { readonly reason: "rule"; readonly rule: string; readonly unit: Unit })
  /** By the pin: a remembered rule or a rule's draw (the rule is named), or the split's draw. */
  | (Assignment & { readonly reason: "pin"; readonly rule: string | undefined; readonly unit: Unit })
  | (Assignment & { readonly reason: "split" | "default"; readonly rule: undefined; readonly unit: Unit });

/** The steps of a decision, in the order in which they can appear. */
export type Stage = "override" | "propagated" | "unit" | "pin" | "rule" | "split" | "default" | "cookie";

/** What one step of a decision did, and why, in words for people. */
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

/** Filled by a decision that is asked to explain itself; requests pass none and pay nothing for it. */
export type Trail = TrailEntry[];

/** A trail whose steps say whose value they are about. */
export function prefixTrail(source: string, trail: Trail | undefined): Pick<Trail, "push"> | undefined {
  return (
    trail && {
      push: (...steps) => trail.push(...steps.map((step) => ({ ...step, detail: `${source}: ${step.detail}` }))),
    }
  );
}
