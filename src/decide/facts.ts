import { type Address, parseAddress } from "./ip-address.ts";
import type { PatternScope } from "./pattern.ts";
import { formatSemver, parseSemver, type SemanticVersion } from "./semver.ts";
import { parseTime } from "./time.ts";
import type { TimeZone } from "./time-zone.ts";

/** The attribute types of the configuration. */
export type AttributeType = "string" | "number" | "boolean" | "time" | "semver" | "ip";

/** An attribute's value; times are milliseconds since the Unix epoch. */
export type AttributeValue = string | number | boolean | SemanticVersion | Address;

/**
 * What rules can read of one request. Every method is lazy and cheap to repeat, and none throws, whatever the client
 * sent. Text is decoded as UTF-8 if it is valid UTF-8 and as Latin-1 otherwise.
 */
export interface Facts extends PatternScope {
  /** The attribute at this index of the attribute table; undefined if absent or unparsable. */
  attribute(index: number): AttributeValue | undefined;
  /** A request header by its lower-case name; undefined if absent or sent more than once. */
  header(name: string): string | undefined;
  /** The first cookie of this name. */
  cookie(name: string): string | undefined;
  /** The first query parameter of this name, percent-decoded, `+` read as a space. */
  query(name: string): string | undefined;
  readonly method: string;
  /** Lower case, without port and without a trailing dot. */
  readonly host: string;
  /** The path that routes match, without the query. */
  readonly path: string;
  /** The derived client address, not the caller's; undefined only for a unix socket. */
  readonly clientAddress: Address | undefined;
}

/**
 * Parses an attribute's text by type; undefined if it is not a value of that type. Nothing is trimmed or guessed:
 * - string: the text unchanged, including the empty one;
 * - number: decimal, with or without an exponent, finite (not `0x10`, `1_000` or `Infinity`);
 * - boolean: exactly `true`, `1`, `false` or `0`;
 * - time: see `parseTime`, which `zone` is for; semver: see `parseSemver`; ip: see `parseAddress`.
 */
export function parseValue(type: AttributeType, text: string, zone?: TimeZone): AttributeValue | undefined {
  switch (type) {
    case "string":
      return text;
    case "number":
      return parseNumber(text);
    case "boolean":
      return parseBoolean(text);
    case "time":
      return parseTime(text, zone);
    case "semver":
      return parseSemver(text);
    case "ip":
      return parseAddress(text);
  }
}

const decimal = /^[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,4})?$/;
const maxNumberLength = 64;

function parseNumber(text: string): number | undefined {
  if (text.length > maxNumberLength || !decimal.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value + 0 : undefined;
}

function parseBoolean(text: string): boolean | undefined {
  if (text === "true" || text === "1") return true;
  return text === "false" || text === "0" ? false : undefined;
}

/**
 * The canonical text of a value, the same for all its spellings (`v4.2` and `4.2.0`, `1e3` and `1000`). Units are
 * derived from it, so it must never change between releases of Perch. A time is written as its milliseconds.
 */
export function canonicalText(value: AttributeValue): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object") return String(value);
  return "words" in value ? value.text : formatSemver(value);
}
