import { type AttributeValue, canonicalText } from "./facts.ts";
import { hashText } from "./hash.ts";

/**
 * The requester that a version is assigned to, as 64 bits: the digest of an attribute's canonical text, so that the pin
 * can still identify the user after a logout without containing the text, or random for an anonymous requester.
 */
export interface Unit {
  readonly source: "attribute" | "random";
  /** Words h1 and h2 of the digest, signed 32-bit integers. */
  readonly hi: number;
  readonly lo: number;
}

/** Randomness for new units, injected so that decisions are reproducible. */
export interface RandomSource {
  /** Any 32-bit integer. */
  int32(): number;
}

/** The first 64 bits of hashText of the canonical text, seed 0. */
export function attributeUnit(value: AttributeValue): Unit {
  const digest = hashText(canonicalText(value), 0);
  return { source: "attribute", hi: digest.h1, lo: digest.h2 };
}

export function randomUnit(random: RandomSource): Unit {
  return { source: "random", hi: random.int32() | 0, lo: random.int32() | 0 };
}

export function isSameUnit(left: Unit, right: Unit): boolean {
  return left.hi === right.hi && left.lo === right.lo && left.source === right.source;
}

const bytes = Buffer.alloc(8);

/** The unit's text in a pin: `a` or `r`, then the eight bytes of both words, little-endian, in base64url. */
export function formatUnit(unit: Unit): string {
  bytes.writeInt32LE(unit.hi, 0);
  bytes.writeInt32LE(unit.lo, 4);
  return (unit.source === "attribute" ? "a" : "r") + bytes.toString("base64url");
}

/** Matches what `formatUnit` writes; the last character carries only four bits, so that each unit has one spelling. */
export const unitPattern = "[ar][A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]";

/** Parses a text that the caller has matched with `unitPattern`. */
export function parseUnit(text: string): Unit {
  const digest = Buffer.from(text.slice(1), "base64url");
  return {
    source: text.startsWith("a") ? "attribute" : "random",
    hi: digest.readInt32LE(0),
    lo: digest.readInt32LE(4),
  };
}
