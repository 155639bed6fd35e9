import { type AttributeValue, canonicalText } from "./facts.ts";
import { hashText } from "./hash.ts";

/**
 * What is assigned: a requester, as 64 bits. An attribute's are the digest of its canonical text, so that the pin can go
 * on naming it after a logout without holding the text itself; an anonymous one's are random.
 */
export interface Unit {
  readonly source: "attribute" | "random";
  /** Words h1 and h2 of the digest, signed 32-bit integers. */
  readonly hi: number;
  readonly lo: number;
}

/** Randomness for new units; the composition root provides it from the system's generator. */
export interface RandomSource {
  /** Any 32-bit integer. */
  int32(): number;
}

/** The unit that an attribute names: the first 64 bits of hashText of its canonical text, seed 0. */
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

/** A unit's text in a pin: `a` or `r`, then the eight bytes of both words, little-endian, in base64url. */
export function formatUnit(unit: Unit): string {
  bytes.writeInt32LE(unit.hi, 0);
  bytes.writeInt32LE(unit.lo, 4);
  return (unit.source === "attribute" ? "a" : "r") + bytes.toString("base64url");
}

/** The pattern of such a text; its last character holds four bits only, so that each unit has one text. */
export const unitPattern = "[ar][A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]";

/** Reads a text of `unitPattern`, which the caller has checked. */
export function parseUnit(text: string): Unit {
  const digest = Buffer.from(text.slice(1), "base64url");
  return {
    source: text.startsWith("a") ? "attribute" : "random",
    hi: digest.readInt32LE(0),
    lo: digest.readInt32LE(4),
  };
}
