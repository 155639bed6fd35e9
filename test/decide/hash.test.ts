import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Hash128, hashBytes, hashText, hashToFraction } from "../../src/decide/hash.ts";

function words({ h1, h2, h3, h4 }: Hash128): string {
  return [h1, h2, h3, h4].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** Any code points, including lone surrogates. */
const anyText = fc.array(fc.nat({ max: 0x10ffff }), { maxLength: 40 }).map((points) => String.fromCodePoint(...points));

function littleEndian(values: number[]): string {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [at, value] of values.entries()) bytes.writeInt32LE(value, at * 4);
  return bytes.toString("latin1");
}

describe("hashText", () => {
  // PeterScott/murmur3, test.c; the last two: karanlyons/murmurHash3.js, README, and pid/murmurHash3js, test.
  const published: [seed: number, text: string, wanted: string][] = [
    [123, "Hello, world!", "61c9129e5a1aacd7a41621629e37c886"],
    [321, "Hello, world!", "d5fbdcb3c26c4193045880c5a7170f0f"],
    [123, "xxxxxxxxxxxxxxxxxxxxxxxxxxxx", "5e40bab278825a164cf929d31fec6047"],
    [123, "", "fedc524526f3e79926f3e79926f3e799"],
    [0, "I will not buy this tobacconist's, it is scratched.", "9b5b7ba2ef3f7866889adeaf00f3f98e"],
  ];
  it.each(published)("gives the published value for seed %i and %j", (seed, text, wanted) => {
    expect(words(hashText(text, seed))).toBe(wanted);
  });

  it("gives SMHasher's verification value for MurmurHash3_x86_128 (main.cpp: 0xB3ECE62A)", () => {
    // KeysetTest.cpp, VerificationTest: keys {}, {0}, {0, 1} … with seeds 256, 255 …, and the hash of all the hashes.
    let key = "";
    let all = "";
    for (let length = 0; length < 256; length++) {
      const { h1, h2, h3, h4 } = hashBytes(key, 256 - length);
      all += littleEndian([h1, h2, h3, h4]);
      key += String.fromCharCode(length);
    }
    expect(hashBytes(all, 0).h1 >>> 0).toBe(0xb3ece62a);
  });

  it("hashes the UTF-8 bytes of any text", () => {
    fc.assert(
      fc.property(anyText, fc.integer(), (text, seed) => {
        const bytes = Buffer.from(new TextEncoder().encode(text)).toString("latin1");
        expect(hashText(text, seed)).toEqual(hashBytes(bytes, seed));
      }),
      { numRuns: 300 },
    );
  });

  it("counts a lone surrogate as U+FFFD", () => {
    expect(hashText("a\ud800", 7)).toEqual(hashText("a\ufffd", 7));
  });
});

describe("hashToFraction", () => {
  it("is the first 52 bits of the hash of the eight bytes, plus half a step", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), fc.integer(), (hi, lo, seed) => {
        const { h1, h2 } = hashBytes(littleEndian([hi, lo]), seed);
        const bits = (BigInt(h1 >>> 0) << 20n) | (BigInt(h2 >>> 0) >> 12n);
        expect(hashToFraction(hi, lo, seed)).toBe((Number(bits) + 0.5) / 2 ** 52);
      }),
      { numRuns: 1000 },
    );
  });

  it("is never 0 or 1, even at the ends of the 52-bit range", () => {
    expect((0 + 0.5) / 2 ** 52).toBeGreaterThan(0);
    expect((2 ** 52 - 1 + 0.5) / 2 ** 52).toBeLessThan(1);
  });
});
