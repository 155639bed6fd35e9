import { foldedName } from "./header-names.ts";

/** Bounds what strangers can make a name cache hold. */
const cachedNames = 512;

/**
 * Sorts header names into kinds. Names come again and again in the same letters, so what a name is, is looked up by the
 * name as sent: lower-casing each would cost more than all else that is done to a header.
 */
export class FieldKinds<Kind extends string> {
  readonly #kindOf: (lowerCaseName: string) => Kind;
  readonly #known = new Map<string, Kind>();

  constructor(kindOf: (lowerCaseName: string) => Kind) {
    this.#kindOf = kindOf;
  }

  of(name: string): Kind {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const kind = this.#kindOf(name.toLowerCase());
    if (this.#known.size < cachedNames) this.#known.set(name, kind);
    return kind;
  }
}

/** A flat list of fields as the lines of an HTTP/1.1 head. */
export function fieldLines(fields: readonly string[]): string {
  let lines = "";
  for (let i = 0; i < fields.length; i += 2) lines += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return lines;
}

/** The names, lower case, that a Connection field declares hop-by-hop (RFC 9110 §7.6.1). */
export function connectionOptions(value: string): readonly string[] {
  if (value === "keep-alive" || value === "close" || value === "Keep-Alive") return noOptions;
  const options = value.split(",").map((option) => option.trim().toLowerCase());
  return options.filter((option) => option !== "" && option !== "close" && option !== "keep-alive");
}

const noOptions: readonly string[] = Object.freeze([]);

/** Takes the fields with these lower-case names out of a flat list (name, value, name, value), in place. */
export function removeFields(headers: string[], names: readonly string[]): void {
  if (names.length === 0) return;
  // A hostile Connection field names thousands.
  const gone = new Set(names);
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (gone.has((headers[i] ?? "").toLowerCase())) headers.splice(i, 2);
  }
}

/** Takes the fields out of a flat list, in place, that many upstreams read as one of these names (`foldedName`). */
export function removeLookAlikes(headers: string[], folded: ReadonlySet<string>): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    const name = (headers[i] ?? "").toLowerCase();
    const read = foldedName(name);
    if (read !== name && folded.has(read)) headers.splice(i, 2);
  }
}

// Blanks are spaces and tabs, the optional whitespace of RFC 9110 §5.6.3.

/** The first position from `from` on that holds no blank; the text's length where only blanks follow. */
export function skipBlanks(text: string, from: number): number {
  let at = from;
  while (isBlank(text.charCodeAt(at))) at++;
  return at;
}

/** The position after the last character before `from` that is no blank; 0 where only blanks come before. */
export function skipBlanksBack(text: string, from: number): number {
  let at = from;
  while (at > 0 && isBlank(text.charCodeAt(at - 1))) at--;
  return at;
}

/** Whether a value in a flat list starts or ends with a blank, which is malformed in HTTP/2 (RFC 9113 §8.2.1). */
export function hasBlankEdges(fields: readonly string[]): boolean {
  for (let i = 1; i < fields.length; i += 2) {
    const value = fields[i] ?? "";
    if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))) return true;
  }
  return false;
}

/** False for the NaN beyond either end. */
function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
