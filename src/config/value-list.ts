import type { ValueList } from "../decide/condition.ts";
import type { AttributeType, AttributeValue } from "../decide/facts.ts";
import { canonicalText, parseValue } from "../decide/value.ts";
import { quote } from "./kit/tree.ts";

/** The largest list that is read, in octets: some 500,000 user ids. */
export const largestListBytes = 16 * 1024 * 1024;

/** Values by their canonical texts, so that `v4.2` in the file holds a client's `4.2.0`. */
class ValueSet implements ValueList {
  readonly path: string;
  readonly #texts: ReadonlySet<string>;

  constructor(path: string, texts: ReadonlySet<string>) {
    this.path = path;
    this.#texts = texts;
  }

  has(value: AttributeValue): boolean {
    return this.#texts.has(canonicalText(value));
  }

  values(): Iterable<string> {
    return this.#texts;
  }
}

/**
 * Reads a list of values: one a line, trimmed; blank lines and lines that begin with `#` are skipped.
 *
 * @returns the list, or what is wrong with the first line that is no value of the type.
 */
export function parseValueList(
  path: string,
  bytes: Uint8Array,
  type: AttributeType,
): ValueList | { readonly problem: string } {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return { problem: "it is not valid UTF-8" };
  }
  const texts = new Set<string>();
  let lineNumber = 0;
  for (const line of text.split("\n")) {
    lineNumber++;
    const written = line.trim();
    if (written === "" || written.startsWith("#")) continue;
    const value = parseValue(type, written);
    if (value === undefined) return { problem: `line ${lineNumber}: ${quote(written)} is no value of type ${type}` };
    texts.add(canonicalText(value));
  }
  return Object.freeze(new ValueSet(path, texts));
}
