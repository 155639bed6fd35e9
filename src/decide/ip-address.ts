import ipaddr from "ipaddr.js";
import { BoundedCache } from "./bounded-cache.ts";

/** An IP address as four 32-bit words; IPv4 is stored as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2). */
export interface Address {
  /** Canonical text: dotted quad, or RFC 5952. Two addresses are equal if and only if their texts are. */
  readonly text: string;
  /** In network order, each a signed 32-bit integer. */
  readonly words: readonly [number, number, number, number];
}

/**
 * One subscriber, as limits count them: an IPv4 address, or the first 64 bits of an IPv6 address, since a subscriber has
 * at least a /64 and may use a new address of it for each request (RFC 6177).
 */
export function subscriberOf({ text, words }: Address): string {
  return text.includes(":") ? `${words[0]}:${words[1]}` : text;
}

/** A CIDR block. A single address is a block of full prefix length. */
export interface AddressRange {
  readonly text: string;
  contains(address: Address): boolean;
}

type Words = Address["words"];

/** Maximum length of an address: eight groups that end in a dotted quad. */
const maxLength = 45;

/**
 * Parses an IP address: a dotted quad in decimal without leading zeros (programs disagree on looser forms, which is how
 * address checks are bypassed), or RFC 4291 §2.2 text. An IPv4-mapped address becomes the IPv4 address. Zone
 * identifiers are rejected: they are meaningful only on the machine that made them. Returns undefined for anything
 * else.
 *
 * @example parseAddress("::ffff:192.0.2.1")?.text // "192.0.2.1"
 */
export function parseAddress(text: string): Address | undefined {
  if (text.length > maxLength) return undefined;
  return text.includes(":") ? parseCachedVersion6(text) : parseVersion4(text);
}

const mappedMarker = 0xffff;
const mappedBits = 96;

function parseVersion4(text: string): Address | undefined {
  const bits = quadBits(text);
  // The strict form is the canonical one.
  return bits === undefined ? undefined : { text, words: [0, 0, mappedMarker, bits] };
}

const zero = 0x30;
const dot = 0x2e;

/** Parsed by hand: a regular expression would dominate the cost of a request from a new client address. */
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

const recentVersion6 = new BoundedCache<Address>(1024, (address) => address.text);

function parseCachedVersion6(text: string): Address | undefined {
  const cached = recentVersion6.get(text);
  if (cached !== undefined) return cached;
  const parsed = parseVersion6(text);
  // The cache is keyed by the canonical text, so other spellings would never be found.
  if (parsed !== undefined && parsed.text === text) recentVersion6.add(parsed);
  return parsed;
}

function parseVersion6(text: string): Address | undefined {
  // ipaddr.js accepts zones and octal in a dotted tail, and takes `::1.2.3.4` for IPv4-mapped, against RFC 4291.
  const plain = text.includes("%") ? undefined : withoutDottedTail(text);
  if (plain === undefined || !ipaddr.IPv6.isValid(plain)) return undefined;
  const groups = ipaddr.IPv6.parse(plain).parts;
  const word = (at: number): number => ((groups[at] ?? 0) << 16) | (groups[at + 1] ?? 0);
  return addressOf([word(0), word(2), word(4), word(6)]);
}

/** Rewrites a dotted quad at the end of an IPv6 address as two groups. */
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

const prefixLength = /^(?:0|[1-9]\d{0,2})$/;

/**
 * Parses a CIDR block (`10.0.0.0/8`, `2001:db8::/32`) or a single address. Host bits are accepted and cleared, as nginx
 * and Envoy do; `text` is the resulting block. The families are separate: `::/0` contains every IPv6 address and no
 * IPv4 address. Returns undefined for anything else.
 */
export function parseAddressRange(text: string): AddressRange | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const maxPrefix = text.includes(":") ? 128 : 32;
  const prefix = slash < 0 ? String(maxPrefix) : text.slice(slash + 1);
  if (!prefixLength.test(prefix) || Number(prefix) > maxPrefix) return undefined;
  return new Block(address, Number(prefix) + 128 - maxPrefix);
}

class Block implements AddressRange {
  readonly text: string;
  readonly #base: Words;
  readonly #mask: Words;
  readonly #version4: boolean;

  /** `bits` is the prefix length in the 128-bit form. */
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

/** A word whose first `bits` bits are set. JavaScript takes shift counts modulo 32, hence the two special cases. */
function maskWord(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? -1 : -1 << (32 - bits);
}

function masked(words: Words, mask: Words): Words {
  return [words[0] & mask[0], words[1] & mask[1], words[2] & mask[2], words[3] & mask[3]];
}
