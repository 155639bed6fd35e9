/** A parsed semantic version; build data is dropped (https://semver.org, 2.0.0). */
export interface SemanticVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  readonly prerelease: readonly (string | number)[];
}

/** Longer texts are refused unread: app versions come from clients. */
const maxText = 256;

/** Up to 16 digits; whether they fit a safe integer is checked when they are read. */
const numeral = "(0|[1-9]\\d{0,15})";
const identifiers = "[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*";
const version = new RegExp(
  `^[vV]?${numeral}(?:\\.${numeral})?(?:\\.${numeral})?(?:-(${identifiers}))?(?:\\+${identifiers})?$`,
);
const digits = /^\d+$/;

/**
 * Reads a semantic version. Looser than the standard in what people send: a leading `v` or `V`, and `4` or `4.2` for
 * 4.0.0 and 4.2.0. As strict elsewhere: no leading zeros in numbers, no empty identifiers, numbers up to 2^53 - 1.
 * Build data is checked and dropped, since precedence ignores it. Answers undefined for anything else.
 *
 * @example parseSemver("v4.2-beta.1") // { major: 4, minor: 2, patch: 0, prerelease: ["beta", 1] }
 */
export function parseSemver(text: string): SemanticVersion | undefined {
  const parts = text.length > maxText ? null : version.exec(text);
  if (parts === null) return undefined;
  const major = Number(parts[1]);
  const minor = Number(parts[2] ?? 0);
  const patch = Number(parts[3] ?? 0);
  if (!Number.isSafeInteger(major) || !Number.isSafeInteger(minor) || !Number.isSafeInteger(patch)) return undefined;
  const prerelease = parts[4] === undefined ? [] : readPrerelease(parts[4]);
  return prerelease === undefined ? undefined : { major, minor, patch, prerelease };
}

function readPrerelease(text: string): (string | number)[] | undefined {
  const read: (string | number)[] = [];
  for (const identifier of text.split(".")) {
    if (!digits.test(identifier)) {
      read.push(identifier);
      continue;
    }
    const value = Number(identifier);
    const leadingZero = identifier.length > 1 && identifier.startsWith("0");
    if (leadingZero || !Number.isSafeInteger(value)) return undefined;
    read.push(value);
  }
  return read;
}

/** Precedence of semver.org §11: negative, zero or positive, as a sort function's. Never allocates. */
export function compareSemver(left: SemanticVersion, right: SemanticVersion): number {
  if (left.major !== right.major) return left.major - right.major;
  if (left.minor !== right.minor) return left.minor - right.minor;
  if (left.patch !== right.patch) return left.patch - right.patch;
  return comparePrerelease(left.prerelease, right.prerelease);
}

function comparePrerelease(left: SemanticVersion["prerelease"], right: SemanticVersion["prerelease"]): number {
  // A version without a prerelease is the later one.
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
  // Numbers come before words; words compare in ASCII order, which is what JavaScript's comparison of these is.
  if (typeof left !== typeof right) return typeof left === "number" ? -1 : 1;
  return left < right ? -1 : 1;
}

/** The version's canonical text, the same for two versions of the same precedence. */
export function formatSemver(version: SemanticVersion): string {
  const core = `${version.major}.${version.minor}.${version.patch}`;
  return version.prerelease.length === 0 ? core : `${core}-${version.prerelease.join(".")}`;
}

/** A compiled range: any of the alternatives, all of its comparators. */
export interface SemverRange {
  readonly source: string;
  test(version: SemanticVersion): boolean;
}

interface Comparator {
  readonly operator: "<" | "<=" | "=" | ">=" | ">";
  readonly bound: SemanticVersion;
}

/** A version in a range: up to three numbers, then perhaps a wildcard for the rest. */
interface Partial {
  readonly numbers: readonly number[];
  readonly wildcard: boolean;
  readonly prerelease: readonly (string | number)[];
}

const maxRange = 1024;

const part = "(0|[1-9]\\d{0,15}|[xX*])";
const partial = new RegExp(`^[vV]?${part}(?:\\.${part})?(?:\\.${part})?(?:-(${identifiers}))?(?:\\+${identifiers})?$`);
const wildcardMark = /^[xX*]$/;
const hyphen = /^([^\s|,]+)\s+-\s+([^\s|,]+)$/;
const comparator = /(>=|<=|>|<|=|\^|~)?\s*([^\s,<>=^~|]+)(?:\s+|,|$)\s*/y;

/** The lowest prerelease there is: as an upper bound it keeps the next line's prereleases out, too. */
const lowest: readonly (string | number)[] = [0];

/**
 * Reads a range: comparators `>=`, `>`, `<=`, `<`, `=`, joined by spaces or commas (all must hold) and `||` (one must);
 * `^4.2`, `~4.2`, `1.2 - 2.3` (both ends included), `4.x` and `*`.
 *
 * Everything compares by precedence, prereleases as well: 4.2.0-beta.1 is in `>=4.1 <5`, and so is 5.0.0-beta. A partial
 * version is read with zeros wherever it stands: `4.2` is 4.2.0 exactly, `<=4` ends at 4.0.0; for a whole line write
 * `4.x`. The upper ends of `^`, `~` and wildcards leave out the next line's prereleases, as npm's do, and a wildcard
 * holds those of its own line. Answers undefined for anything that is no range, or one that nothing can be in by its
 * form (`<*`).
 */
export function parseSemverRange(text: string): SemverRange | undefined {
  if (text.length > maxRange) return undefined;
  const alternatives: (readonly Comparator[])[] = [];
  for (const alternative of text.split("||")) {
    const comparators = readAlternative(alternative.trim());
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

function readAlternative(text: string): Comparator[] | undefined {
  const ends = hyphen.exec(text);
  if (ends !== null) return joined(expand(">=", ends[1] ?? ""), expand("<=", ends[2] ?? ""));
  let read: Comparator[] | undefined = text === "" ? undefined : [];
  comparator.lastIndex = 0;
  for (let at = 0; at < text.length && read !== undefined; at = comparator.lastIndex) {
    const found = comparator.exec(text);
    read = found === null ? undefined : joined(read, expand(found[1] ?? "=", found[2] ?? ""));
  }
  return read;
}

function joined(left: Comparator[] | undefined, right: Comparator[] | undefined): Comparator[] | undefined {
  return left === undefined || right === undefined ? undefined : [...left, ...right];
}

function expand(operator: string, text: string): Comparator[] | undefined {
  const given = readPartial(text);
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
        ? [{ operator: ">=", bound: nextLine(given, last) }]
        : [{ operator, bound: lowerEnd(given) }];
    case "<=":
      return given.wildcard ? [below(given, last)] : [{ operator, bound: lowerEnd(given) }];
    default:
      return given.wildcard ? [from, below(given, last)] : [{ operator: "=", bound: lowerEnd(given) }];
  }
}

function readPartial(text: string): Partial | undefined {
  const parts = partial.exec(text);
  if (parts === null) return undefined;
  const [, major, minor, patch, suffix] = parts;
  const given = [major, minor, patch].filter((each) => each !== undefined);
  const start = given.findIndex((each) => wildcardMark.test(each));
  const wildcard = start >= 0;
  // A number after a wildcard (`x.2`) or a prerelease after one (`4.x-beta`) has no meaning.
  if (wildcard && (suffix !== undefined || !given.slice(start).every((each) => wildcardMark.test(each))))
    return undefined;
  const numbers = (wildcard ? given.slice(0, start) : given).map(Number);
  if (!numbers.every(Number.isSafeInteger)) return undefined;
  const prerelease = suffix === undefined ? [] : readPrerelease(suffix);
  return prerelease === undefined ? undefined : { numbers, wildcard, prerelease };
}

function lowerEnd({ numbers, wildcard, prerelease }: Partial): SemanticVersion {
  const [major = 0, minor = 0, patch = 0] = numbers;
  return { major, minor, patch, prerelease: wildcard ? lowest : prerelease };
}

function below(given: Partial, position: number): Comparator {
  return { operator: "<", bound: nextLine(given, position) };
}

/** The start of the line after the one that the numbers up to `position` name, its prereleases included. */
function nextLine({ numbers }: Partial, position: number): SemanticVersion {
  const raised = numbers.map((number, at) => (at === position ? number + 1 : at < position ? number : 0));
  const [major = 0, minor = 0, patch = 0] = raised;
  return { major, minor, patch, prerelease: lowest };
}

/** `^` lets everything change right of the first number that is not zero; of zeros only, the last one given stays. */
function caretPosition(numbers: readonly number[]): number {
  const first = numbers.findIndex((number) => number !== 0);
  return first < 0 ? numbers.length - 1 : first;
}
