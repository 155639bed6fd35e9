/** A semantic version without build metadata (https://semver.org, 2.0.0). */
export interface SemanticVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  readonly prerelease: readonly (string | number)[];
}

/** Client input: anything longer is rejected before it is parsed. */
const maxLength = 256;

/** Up to 16 digits; values over 2^53 - 1 are rejected after parsing. */
const numeral = "(0|[1-9]\\d{0,15})";
const identifiers = "[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*";
const version = new RegExp(
  `^[vV]?${numeral}(?:\\.${numeral})?(?:\\.${numeral})?(?:-(${identifiers}))?(?:\\+${identifiers})?$`,
);

/**
 * Parses a semantic version. Unlike the standard it accepts a leading `v` or `V`, and `4` or `4.2` for 4.0.0 and 4.2.0.
 * Otherwise strict: no leading zeros in numbers, no empty identifiers, numbers up to 2^53 - 1. Build metadata is
 * checked and dropped, since precedence ignores it. Returns undefined for anything else.
 *
 * @example parseSemver("v4.2-beta.1") // { major: 4, minor: 2, patch: 0, prerelease: ["beta", 1] }
 */
export function parseSemver(text: string): SemanticVersion | undefined {
  const parts = text.length > maxLength ? null : version.exec(text);
  if (parts === null) return undefined;
  const major = Number(parts[1]);
  const minor = Number(parts[2] ?? 0);
  const patch = Number(parts[3] ?? 0);
  if (!Number.isSafeInteger(major) || !Number.isSafeInteger(minor) || !Number.isSafeInteger(patch)) return undefined;
  const prerelease = parts[4] === undefined ? [] : parsePrerelease(parts[4]);
  return prerelease === undefined ? undefined : { major, minor, patch, prerelease };
}

const digits = /^\d+$/;

function parsePrerelease(text: string): (string | number)[] | undefined {
  const parsed: (string | number)[] = [];
  for (const identifier of text.split(".")) {
    if (!digits.test(identifier)) {
      parsed.push(identifier);
      continue;
    }
    const value = Number(identifier);
    const leadingZero = identifier.length > 1 && identifier.startsWith("0");
    if (leadingZero || !Number.isSafeInteger(value)) return undefined;
    parsed.push(value);
  }
  return parsed;
}

/** Precedence by semver.org §11, as a sort comparator: negative, zero or positive. Does not allocate. */
export function compareSemver(left: SemanticVersion, right: SemanticVersion): number {
  if (left.major !== right.major) return left.major - right.major;
  if (left.minor !== right.minor) return left.minor - right.minor;
  if (left.patch !== right.patch) return left.patch - right.patch;
  return comparePrerelease(left.prerelease, right.prerelease);
}

function comparePrerelease(left: SemanticVersion["prerelease"], right: SemanticVersion["prerelease"]): number {
  // A version without a prerelease has the higher precedence.
  if (left.length === 0 || right.length === 0) return right.length - left.length;
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at++) {
    const order = compareIdentifier(left[at], right[at]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function compareIdentifier(left: string | number | undefined, right: string | number | undefined): number {
  if (left === right || left === undefined || right === undefined) return 0;
  // Numbers sort before words. Words are ASCII, for which JavaScript's string order is ASCII order.
  if (typeof left !== typeof right) return typeof left === "number" ? -1 : 1;
  return left < right ? -1 : 1;
}

/** The canonical text, equal for versions of equal precedence. */
export function formatSemver(version: SemanticVersion): string {
  const core = `${version.major}.${version.minor}.${version.patch}`;
  return version.prerelease.length === 0 ? core : `${core}-${version.prerelease.join(".")}`;
}

/** A compiled range. */
export interface SemverRange {
  readonly source: string;
  test(version: SemanticVersion): boolean;
}

interface Comparator {
  readonly operator: "<" | "<=" | "=" | ">=" | ">";
  readonly bound: SemanticVersion;
}

const maxRangeLength = 1024;

/**
 * Parses a range: comparators `>=`, `>`, `<=`, `<`, `=`, joined by spaces or commas (all must hold) and `||` (one
 * must); `^4.2`, `~4.2`, `1.2 - 2.3` (both ends included), `4.x` and `*`.
 *
 * All comparisons are by precedence, including prereleases: 4.2.0-beta.1 is in `>=4.1 <5`, and so is 5.0.0-beta. A
 * partial version is filled with zeros: `4.2` is exactly 4.2.0, `<=4` ends at 4.0.0; for all of 4 write `4.x`. The
 * upper bounds of `^`, `~` and wildcards exclude the next version's prereleases, as in npm, and a wildcard includes its
 * own prereleases. Returns undefined for anything else, and for a range that is empty by its form (`<*`).
 */
export function parseSemverRange(text: string): SemverRange | undefined {
  if (text.length > maxRangeLength) return undefined;
  const alternatives: (readonly Comparator[])[] = [];
  for (const alternative of text.split("||")) {
    const comparators = parseAlternative(alternative.trim());
    if (comparators === undefined) return undefined;
    alternatives.push(comparators);
  }
  return {
    source: text,
    test: (version) => alternatives.some((comparators) => comparators.every((one) => holds(one, version))),
  };
}

function holds({ operator, bound }: Comparator, version: SemanticVersion): boolean {
  const order = compareSemver(version, bound);
  switch (operator) {
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case "=":
      return order === 0;
    case ">=":
      return order >= 0;
    case ">":
      return order > 0;
  }
}

const hyphen = /^([^\s|,]+)\s+-\s+([^\s|,]+)$/;
const comparator = /(>=|<=|>|<|=|\^|~)?\s*([^\s,<>=^~|]+)(?:\s+|,|$)\s*/y;

function parseAlternative(text: string): Comparator[] | undefined {
  const ends = hyphen.exec(text);
  if (ends !== null) return concat(expand(">=", ends[1] ?? ""), expand("<=", ends[2] ?? ""));
  let parsed: Comparator[] | undefined = text === "" ? undefined : [];
  comparator.lastIndex = 0;
  for (let at = 0; at < text.length && parsed !== undefined; at = comparator.lastIndex) {
    const found = comparator.exec(text);
    parsed = found === null ? undefined : concat(parsed, expand(found[1] ?? "=", found[2] ?? ""));
  }
  return parsed;
}

function concat(left: Comparator[] | undefined, right: Comparator[] | undefined): Comparator[] | undefined {
  return left === undefined || right === undefined ? undefined : [...left, ...right];
}

function expand(operator: string, text: string): Comparator[] | undefined {
  const given = parsePartial(text);
  if (given === undefined) return undefined;
  const last = given.numbers.length - 1;
  if (last < 0) return operator === "<" || operator === ">" ? undefined : [];
  const from: Comparator = { operator: ">=", bound: lowerEnd(given) };
  switch (operator) {
    case "^":
      return [from, below(given, caretPosition(given.numbers))];
    case "~":
      return [from, below(given, Math.min(last, 1))];
    case ">=":
      return [from];
    case "<":
      return [{ operator, bound: lowerEnd(given) }];
    case ">":
      return given.wildcard
        ? [{ operator: ">=", bound: nextVersion(given, last) }]
        : [{ operator, bound: lowerEnd(given) }];
    case "<=":
      return given.wildcard ? [below(given, last)] : [{ operator, bound: lowerEnd(given) }];
    default:
      return given.wildcard ? [from, below(given, last)] : [{ operator: "=", bound: lowerEnd(given) }];
  }
}

/** A version in a range: up to three numbers, then possibly a wildcard. */
interface Partial {
  readonly numbers: readonly number[];
  readonly wildcard: boolean;
  readonly prerelease: readonly (string | number)[];
}

const part = "(0|[1-9]\\d{0,15}|[xX*])";
const partial = new RegExp(`^[vV]?${part}(?:\\.${part})?(?:\\.${part})?(?:-(${identifiers}))?(?:\\+${identifiers})?$`);
const wildcardMark = /^[xX*]$/;

function parsePartial(text: string): Partial | undefined {
  const parts = partial.exec(text);
  if (parts === null) return undefined;
  const [, major, minor, patch, suffix] = parts;
  const given = [major, minor, patch].filter((each) => each !== undefined);
  const start = given.findIndex((each) => wildcardMark.test(each));
  const wildcard = start >= 0;
  // A number or prerelease after a wildcard (`x.2`, `4.x-beta`) is meaningless.
  if (wildcard && (suffix !== undefined || !given.slice(start).every((each) => wildcardMark.test(each))))
    return undefined;
  const numbers = (wildcard ? given.slice(0, start) : given).map(Number);
  if (!numbers.every(Number.isSafeInteger)) return undefined;
  const prerelease = suffix === undefined ? [] : parsePrerelease(suffix);
  return prerelease === undefined ? undefined : { numbers, wildcard, prerelease };
}

/** The lowest prerelease, so that as an upper bound it also excludes the prereleases of the next version. */
const lowest: readonly (string | number)[] = [0];

function lowerEnd({ numbers, wildcard, prerelease }: Partial): SemanticVersion {
  const [major = 0, minor = 0, patch = 0] = numbers;
  return { major, minor, patch, prerelease: wildcard ? lowest : prerelease };
}

function below(given: Partial, position: number): Comparator {
  return { operator: "<", bound: nextVersion(given, position) };
}

/** The lowest version, prereleases included, with the number at `position` incremented. */
function nextVersion({ numbers }: Partial, position: number): SemanticVersion {
  const raised = numbers.map((number, at) => (at === position ? number + 1 : at < position ? number : 0));
  const [major = 0, minor = 0, patch = 0] = raised;
  return { major, minor, patch, prerelease: lowest };
}

/** `^` allows changes to the right of the first nonzero number, or of the last number if all are zero. */
function caretPosition(numbers: readonly number[]): number {
  const first = numbers.findIndex((number) => number !== 0);
  return first < 0 ? numbers.length - 1 : first;
}
