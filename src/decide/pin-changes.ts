import type { Pin } from "./pin-content.ts";
import { isSameUnit, type Unit } from "./unit.ts";

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
