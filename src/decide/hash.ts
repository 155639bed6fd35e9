/**
 * The hash behind every draw: MurmurHash3_x86_128 (Austin Appleby, https://github.com/aappleby/smhasher, public
 * domain). It needs only 32-bit integers, which JavaScript computes fast, and neighbouring inputs (`user-1`, `user-2`)
 * give unrelated outputs. It is not keyed: a client that knows its unit can compute its draw, which is not a secret.
 */

/** The four words in the reference implementation's order, as signed 32-bit integers. */
export interface Hash128 {
  readonly h1: number;
  readonly h2: number;
  readonly h3: number;
  readonly h4: number;
}

const c1 = 0x239b961b;
const c2 = 0xab0e9789;
const c3 = 0x38b34ae5;
const c4 = 0xa1e38b93;

/** Hashes a text's UTF-8 bytes; a lone surrogate counts as U+FFFD, as everywhere in the web platform. */
export function hashText(text: string, seed: number): Hash128 {
  return hashBytes(isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1"), seed);
}

/** Nearly all units are ASCII: their char codes are their UTF-8 bytes, so nothing is encoded or allocated. */
function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 0x7f) return false;
  }
  return true;
}

/** Hashes bytes given as a Latin-1 string. */
export function hashBytes(bytes: string, seed: number): Hash128 {
  const tail = bytes.length & ~15;
  let h1 = seed | 0;
  let h2 = h1;
  let h3 = h1;
  let h4 = h1;
  for (let at = 0; at < tail; at += 16) {
    h1 = (Math.imul(rotate(h1 ^ mix1(word(bytes, at)), 19) + h2, 5) + 0x561ccd1b) | 0;
    h2 = (Math.imul(rotate(h2 ^ mix2(word(bytes, at + 4)), 17) + h3, 5) + 0x0bcaa747) | 0;
    h3 = (Math.imul(rotate(h3 ^ mix3(word(bytes, at + 8)), 15) + h4, 5) + 0x96cd1c35) | 0;
    h4 = (Math.imul(rotate(h4 ^ mix4(word(bytes, at + 12)), 13) + h1, 5) + 0x32ac3b17) | 0;
  }
  // The missing bytes of the last block read as zeros, and a zero word mixes to zero, as in the reference.
  h1 ^= mix1(lastWord(bytes, tail)) ^ bytes.length;
  h2 ^= mix2(lastWord(bytes, tail + 4)) ^ bytes.length;
  h3 ^= mix3(lastWord(bytes, tail + 8)) ^ bytes.length;
  h4 ^= mix4(lastWord(bytes, tail + 12)) ^ bytes.length;
  const sum = (h1 + h2 + h3 + h4) | 0;
  const f1 = finish(sum);
  const f2 = finish(h2 + sum);
  const f3 = finish(h3 + sum);
  const f4 = finish(h4 + sum);
  const total = (f1 + f2 + f3 + f4) | 0;
  return { h1: total, h2: (f2 + total) | 0, h3: (f3 + total) | 0, h4: (f4 + total) | 0 };
}

/**
 * Maps a unit's digest to the open interval (0, 1): hashes the eight little-endian bytes of `hi` and `lo` with `seed`,
 * takes the first 52 bits of h1 and h2 as a fraction, and adds half a step so that the result is never 0 or 1 (its
 * logarithm is taken). The hash is hashBytes, unrolled for eight bytes.
 */
export function hashToFraction(hi: number, lo: number, seed: number): number {
  const first = firstWord(hi, lo, seed);
  return ((first >>> 0) * 0x100000 + (secondWord >>> 12) + 0.5) / 0x10000000000000;
}

/** The first 64 bits of the same hash, as sixteen hexadecimal digits. */
export function hashToHex(hi: number, lo: number, seed: number): string {
  const first = firstWord(hi, lo, seed);
  hexWords.writeInt32BE(first, 0);
  hexWords.writeInt32BE(secondWord, 4);
  return hexWords.toString("hex");
}

const hexWords = Buffer.alloc(8);

/** The second word of the hash that `firstWord` computed last: a pair would be an allocation. */
let secondWord = 0;

function firstWord(hi: number, lo: number, seed: number): number {
  const rest = seed ^ 8;
  const h2 = rest ^ mix2(lo);
  const sum = ((rest ^ mix1(hi)) + h2 + rest + rest) | 0;
  const f2 = finish(h2 + sum);
  const f3 = finish(rest + sum);
  const first = (finish(sum) + f2 + f3 + f3) | 0;
  secondWord = (f2 + first) | 0;
  return first;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function mix1(word: number): number {
  return Math.imul(rotate(Math.imul(word, c1), 15), c2);
}

function mix2(word: number): number {
  return Math.imul(rotate(Math.imul(word, c2), 16), c3);
}

function mix3(word: number): number {
  return Math.imul(rotate(Math.imul(word, c3), 17), c4);
}

function mix4(word: number): number {
  return Math.imul(rotate(Math.imul(word, c4), 18), c1);
}

function finish(word: number): number {
  const high = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  const low = Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  return low ^ (low >>> 16);
}

function word(bytes: string, at: number): number {
  return (
    bytes.charCodeAt(at) |
    (bytes.charCodeAt(at + 1) << 8) |
    (bytes.charCodeAt(at + 2) << 16) |
    (bytes.charCodeAt(at + 3) << 24)
  );
}

function lastWord(bytes: string, at: number): number {
  let read = 0;
  const end = Math.min(at + 4, bytes.length);
  for (let next = at; next < end; next++) read |= bytes.charCodeAt(next) << ((next - at) << 3);
  return read;
}
