import ipaddr from "ipaddr.js";
import { BoundedCache } from "./bounded-cache.ts";

/** An IP address as four 32-bit words; IPv4 is held as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2), so both compare alike. */
export interface Address {
  /** Canonical text: dotted quad, or RFC 5952. Two addresses are the same exactly if their texts are. */
  readonly text: string;
  /** In network order, each a signed 32-bit integer. */
  readonly words: readonly [number, number, number, number];
}

/** A CIDR block. A lone address is a block of its full length. */
export interface AddressRange {
  readonly text: string;
  contains(address: Address): boolean;
}

type Words = Address["words"];

/** The longest text of an address: eight groups with a dotted quad at the end. */
const maxText = 45;
const mappedMarker = 0xffff;
const mappedBits = 96;
const zero = 0x30;
const dot = 0x2e;

const prefixLength = /^(?:0|[1-9]\d{0,2})$/;

const recentVersion6 = new BoundedCache<Address>(1024, (address) => address.text);

/**
 * Reads an IP address: a dotted quad in decimal without leading zeros (anything looser is read differently by different
 * programs, which is how address checks are passed by), or RFC 4291 §2.2 text. An IPv4-mapped address becomes the IPv4
 * address. Zone identifiers are refused: they mean nothing beyond the machine that made them. Answers undefined for
 * anything else.
 *
 * @example parseAddress("::ffff:192.0.2.1")?.text // "192.0.2.1"
 */
export function parseAddress(text: string): Address | undefined {
  if (text.length > maxText) return undefined;
  return text.includes(":") ? recallVersion6(text) : readVersion4(text);
}

function readVersion4(text: string): Address | undefined {
  const bits = quadBits(text);
  // The strict form is the canonical one.
  return bits === undefined ? undefined : { text, words: [0, 0, mappedMarker, bits] };
}

/** Read by hand: many callers send a new address each time, and a regular expression costs more than all the rest. */
function quadBits(text: string): number | undefined {
  let bits = 0;
  let bytes = 0;
  let byte = -1;
  for (let at = 0; at <= text.length; at++) {
    const code = at === text.length ? dot : text.charCodeAt(at);
    if (code === dot) {
      if (byte < 0 || bytes === 4) return undefined;
      bits = (bits << 8) | byte;
      bytes++;
      byte = -1;
    } else {
      if (code < zero || code > zero + 9 || byte === 0) return undefined;
      byte = (byte < 0 ? 0 : byte * 10) + code - zero;
      if (byte > 255) return undefined;
    }
  }
  return bytes === 4 ? bits : undefined;
}

function recallVersion6(text: string): Address | undefined {
  const known = recentVersion6.get(text);
  if (known !== undefined) return known;
  const read = readVersion6(text);
  // Other spellings of an address would be remembered under its canonical text and never be found.
  if (read !== undefined && read.text === text) recentVersion6.add(read);
  return read;
}

function readVersion6(text: string): Address | undefined {
  // ipaddr.js reads a zone, octal in a dotted tail, and `::1.2.3.4` as IPv4-mapped; none of that is RFC 4291's meaning.
  const plain = text.includes("%") ? undefined : withoutDottedTail(text);
  if (plain === undefined || !ipaddr.IPv6.isValid(plain)) return undefined;
  const groups = ipaddr.IPv6.parse(plain).parts;
  const word = (at: number): number => ((groups[at] ?? 0) << 16) | (groups[at + 1] ?? 0);
  return addressOf([word(0), word(2), word(4), word(6)]);
}

/** Writes a dotted quad at the end of an IPv6 address as its two groups. */
function withoutDottedTail(text: string): string | undefined {
  if (!text.includes(".")) return text;
  const start = text.lastIndexOf(":") + 1;
  const bits = quadBits(text.slice(start));
  if (bits === undefined) return undefined;
  return `${text.slice(0, start)}${(bits >>> 16).toString(16)}:${(bits & 0xffff).toString(16)}`;
}

function addressOf(words: Words): Address {
  return { text: isVersion4(words) ? version4Text(words[3]) : version6Text(words), words };
}

function isVersion4(words: Words): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === mappedMarker;
}

function version4Text(bits: number): string {
  return `${bits >>> 24}.${(bits >>> 16) & 0xff}.${(bits >>> 8) & 0xff}.${bits & 0xff}`;
}

function version6Text(words: Words): string {
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  return new ipaddr.IPv6(groups).toRFC5952String();
}

/**
 * Reads a CIDR block (`10.0.0.0/8`, `2001:db8::/32`) or a lone address. Bits set beyond the prefix are accepted and
 * cleared, as nginx and Envoy do; `text` shows the block that remains. The two families are apart: `::/0` holds every
 * IPv6 address and no IPv4 address. Answers undefined for anything else.
 */
export function parseAddressRange(text: string): AddressRange | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const longest = text.includes(":") ? 128 : 32;
  const given = slash < 0 ? String(longest) : text.slice(slash + 1);
  if (!prefixLength.test(given) || Number(given) > longest) return undefined;
  return new Block(address, Number(given) + 128 - longest);
}

class Block implements AddressRange {
  readonly text: string;
  readonly #base: Words;
  readonly #mask: Words;
  readonly #version4: boolean;

  /** `bits` counts from the start of the 128. */
  constructor(address: Address, bits: number) {
    this.#mask = [maskWord(bits), maskWord(bits - 32), maskWord(bits - 64), maskWord(bits - 96)];
    this.#base = masked(address.words, this.#mask);
    this.#version4 = bits >= mappedBits && isVersion4(this.#base);
    this.text = `${addressOf(this.#base).text}/${this.#version4 ? bits - mappedBits : bits}`;
  }

  contains(address: Address): boolean {
    const { words } = address;
    const base = this.#base;
    const mask = this.#mask;
    return (
      isVersion4(words) === this.#version4 &&
      (words[0] & mask[0]) === base[0] &&
      (words[1] & mask[1]) === base[1] &&
      (words[2] & mask[2]) === base[2] &&
      (words[3] & mask[3]) === base[3]
    );
  }
}

/** A word whose first `bits` bits are set. JavaScript shifts by the count modulo 32, so both ends need their own answer. */
function maskWord(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? -1 : -1 << (32 - bits);
}

function masked(words: Words, mask: Words): Words {
  return [words[0] & mask[0], words[1] & mask[1], words[2] & mask[2], words[3] & mask[3]];
}
