import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Pin } from "../../src/decide/pin-content.ts";
import { VerifiedPins } from "../../src/decide/verified-pins.ts";

/** A text that ends like a signed one. */
const signed = (name: string) => `${name}.${createHash("sha256").update(name).digest("base64url").slice(0, 22)}`;

function pinOf(user: number): Pin {
  const how = (["split", "default", "rule", "ring"] as const)[user % 4] ?? "split";
  const rule = how === "rule" ? "insiders" : how === "ring" ? "0123abcd" : undefined;
  const source = user % 3 === 0 ? "attribute" : "random";
  const unit = { source, hi: 1 - user, lo: user * 7_919 } as const;
  return {
    epoch: user * 1e7,
    issuedAtSeconds: 1e9 + user,
    version: user % 2 === 0 ? "stable" : "canary",
    how,
    rule,
    unit,
  };
}

function add(pins: VerifiedPins, text: string, pin: Pin): void {
  const bytes = Buffer.from(`pin=${text};`);
  pins.add(bytes, 4, 4 + text.length, pin);
}

function find(pins: VerifiedPins, text: string): Pin | undefined {
  const bytes = Buffer.from(`other=${text}; more`);
  const slot = pins.find(bytes, 6, 6 + text.length);
  return slot < 0 ? undefined : pins.pinAt(slot);
}

function pinsOf(limit: number, count: number): VerifiedPins {
  const pins = new VerifiedPins(limit, 20);
  for (let user = 0; user < count; user++) add(pins, signed(`user-${user}`), pinOf(user));
  return pins;
}

function keptOf(pins: VerifiedPins, count: number): number {
  let kept = 0;
  for (let user = 0; user < count; user++) if (find(pins, signed(`user-${user}`)) !== undefined) kept++;
  return kept;
}

describe("verified pins", () => {
  it("are found by their whole text, with everything that a pin says", () => {
    const pins = pinsOf(1_000, 24);
    for (let user = 0; user < 24; user++) expect(find(pins, signed(`user-${user}`))).toEqual(pinOf(user));
    expect(find(pins, signed("joe"))).toBeUndefined();
    expect(pins.size).toBe(24);
  });

  it("are not found by another text with the same signature", () => {
    const pins = pinsOf(8, 1);
    const end = signed("user-0").slice(-22);
    for (const text of [`user-1.${end}`, `xuser-0.${end}`, `user-0x${end}`, end, ""]) {
      expect([text, find(pins, text)]).toEqual([text, undefined]);
    }
  });

  it("of which a set holds eight, and replaces the oldest", () => {
    const end = signed("user-1").slice(-22);
    const pins = new VerifiedPins(4_096, 20);
    for (let user = 0; user < 9; user++) add(pins, `${user}.${end}`, pinOf(user));
    const found = Array.from({ length: 9 }, (_, user) => find(pins, `${user}.${end}`)?.issuedAtSeconds);
    expect(found).toEqual([undefined, ...Array.from({ length: 8 }, (_, at) => 1e9 + at + 1)]);
  });

  it("are held nearly all up to half of the limit, and never more than the limit", () => {
    expect(keptOf(pinsOf(4_096, 2_048), 2_048)).toBeGreaterThan(2_000);
    const full = pinsOf(4_096, 50_000);
    expect(full.size).toBeLessThanOrEqual(4_096);
    expect(full.size).toBeGreaterThan(4_000);
    expect(find(full, signed("user-49999"))).toEqual(pinOf(49_999));
  });

  it("are kept while the table grows", () => {
    const pins = new VerifiedPins(65_536, 20);
    for (let user = 0; user < 3_000; user++) {
      add(pins, signed(`user-${user}`), pinOf(user));
      expect(find(pins, signed(`user-${user}`))).toEqual(pinOf(user));
    }
    expect(keptOf(pins, 3_000)).toBeGreaterThan(2_950);
  });

  it("that are longer than the names of the release allow are not held", () => {
    const pins = new VerifiedPins(64, 8);
    const long = signed("x".repeat(80));
    add(pins, long, pinOf(1));
    expect(find(pins, long)).toBeUndefined();
    expect(pins.size).toBe(0);
  });
});
