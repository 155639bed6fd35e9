import { type Address, parseAddress } from "./ip-address.ts";
import { formatSemver, parseSemver, type SemanticVersion } from "./semver.ts";
import { parseTime } from "./time.ts";

/** The types that an attribute can have in the configuration. */
export type AttributeType = "string" | "number" | "boolean" | "time" | "semver" | "ip";

/** An attribute's value; times are milliseconds since the Unix epoch. */
export type AttributeValue = string | number | boolean | SemanticVersion | Address;

/**
 * What rules may ask about one request. Every method is lazy and cheap to repeat; nothing here throws, whatever the
 * client sent. Text is decoded as UTF-8 where it is valid UTF-8 and left as Latin-1 otherwise.
 */
export interface Facts {
  /** The attribute at this index of the configuration's attribute table; undefined where absent or unparsable. */
  attribute(index: number): AttributeValue | undefined;
  /** A request header by its lower-case name; undefined where absent or sent more than once. */
  header(name: string): string | undefined;
  /** The first cookie of this name. */
  cookie(name: string): string | undefined;
  /** The first query parameter of this name, percent-decoded, `+` read as a space. */
  query(name: string): string | undefined;
  readonly method: string;
  /** Lower case, without port and without a trailing dot. */
  readonly host: string;
  /** The path as routes match it, without the query. */
  readonly path: string;
  /** The derived client address, not the caller's; undefined only where a unix socket has none. */
  readonly clientAddress: Address | undefined;
}

const decimal = /^[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,4})?$/;
const maxNumber = 64;

/**
 * Reads an attribute's text by its type; undefined where it is no value of that type. Nothing is trimmed or guessed:
 * - string: the text as it is, the empty one too;
 * - number: decimal, with or without an exponent, finite (`0x10`, `1_000` and `Infinity` are none);
 * - boolean: exactly `true`, `1`, `false` or `0`;
 * - time: see `parseTime`; semver: see `parseSemver`; ip: see `parseAddress`.
 */
export function parseValue(type: AttributeType, text: string): AttributeValue | undefined {
  switch (type) {
    case "string":
      return text;
    case "number":
      return parseNumber(text);
    case "boolean":
      return parseBoolean(text);
    case "time":
      return parseTime(text);
    case "semver":
      return parseSemver(text);
    case "ip":
      return parseAddress(text);
  }
}

function parseNumber(text: string): number | undefined {
  if (text.length > maxNumber || !decimal.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value + 0 : undefined;
}

function parseBoolean(text: string): boolean | undefined {
  if (text === "true" || text === "1") return true;
  return text === "false" || text === "0" ? false : undefined;
}

/**
 * The one text for a value, whatever spelling it arrived in (`v4.2` and `4.2.0` are one user's version, `1e3` and `1000`
 * one number). It is what names a unit, so it never changes between releases of Perch. Times are their milliseconds.
 */
export function canonicalText(value: AttributeValue): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object") return String(value);
  return "words" in value ? value.text : formatSemver(value);
}
