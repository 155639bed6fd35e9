import { formatUnit, parseUnit, type Unit, unitPattern } from "./unit.ts";

/**
 * What the sticky cookie says of its bearer. `how` tells which step assigned the version: a `rule` is named, so that it
 * can be remembered on requests that do not carry what the rule reads.
 */
export interface Pin {
  readonly epoch: number;
  /** Since the Unix epoch. */
  readonly issuedAtSeconds: number;
  readonly version: string;
  readonly how: "split" | "default" | "rule";
  /** The rule's name; undefined unless `how` is `rule`. */
  readonly rule: string | undefined;
  readonly unit: Unit;
}

/** Why a cookie of the pin's name counts as none. */
export type PinRejection = "forged" | "expired" | "oversized" | "malformed";

const name = "[a-z0-9-]{1,63}";
const fields = `1\\.(0|[1-9]\\d{0,9})\\.(0|[1-9]\\d{0,11})\\.(${name})\\.(s|d|r-${name})\\.(${unitPattern})`;
const whole = new RegExp(`^${fields}$`);

/** The pattern of a pin's text. It has groups. */
export const pinPattern = fields;

/** A pin's text without the signature: `1.<epoch>.<issued-at>.<version>.<how>.<unit>`. */
export function formatPin(pin: Pin): string {
  return `1.${pin.epoch}.${pin.issuedAtSeconds}.${pin.version}.${formatHow(pin)}.${formatUnit(pin.unit)}`;
}

function formatHow(pin: Pin): string {
  if (pin.how === "rule") return `r-${pin.rule}`;
  return pin.how === "split" ? "s" : "d";
}

/** Reads what `formatPin` writes; undefined for any other text. */
export function parsePin(text: string): Pin | undefined {
  const parts = whole.exec(text);
  if (parts === null) return undefined;
  const [, epoch, issuedAt, version = "", how = "", unit = ""] = parts;
  const rule = how.startsWith("r") ? how.slice(2) : undefined;
  return {
    epoch: Number(epoch),
    issuedAtSeconds: Number(issuedAt),
    version,
    how: rule !== undefined ? "rule" : how === "s" ? "split" : "default",
    rule,
    unit: parseUnit(unit),
  };
}
