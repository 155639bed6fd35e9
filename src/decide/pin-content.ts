import type { Unit } from "./unit.ts";

/**
 * The content of the sticky cookie. `how` is the step that assigned the version; a `rule` is named, so that it can be
 * remembered on requests that lack the facts it reads.
 */
export interface Pin {
  readonly epoch: number;
  /** Since the Unix epoch. */
  readonly issuedAtSeconds: number;
  readonly version: string;
  readonly how: "split" | "default" | "rule" | "ring";
  /** The rule's name, or what names the rollout's ring; undefined unless `how` is one of the two. */
  readonly rule: string | undefined;
  readonly unit: Unit;
}
