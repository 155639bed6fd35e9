import { isSameUnit, type Unit } from "./unit.ts";

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

/** A random unit replaced by an attribute's is a login; one attribute's replaced by another's is another requester. */
export function isSameRequester(pin: Pin, unit: Unit): boolean {
  return pin.unit.source === "random" || isSameUnit(pin.unit, unit);
}

/** Whether only the weights made the next pin another one. */
export function changesOnlyVersion(pin: Pin, next: Pin): boolean {
  return (
    pin.version !== next.version &&
    pin.how === next.how &&
    pin.rule === next.rule &&
    pin.epoch === next.epoch &&
    isSameUnit(pin.unit, next.unit)
  );
}

/** Whether a pin of the same requester changes its version. */
export function isFlip(pin: Pin | undefined, next: Pin | undefined): boolean {
  return pin !== undefined && next !== undefined && pin.version !== next.version && isSameRequester(pin, next.unit);
}
