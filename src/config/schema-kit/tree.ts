/**
 * A configuration file as a tree with source locations, independent of YAML: aliases are resolved (targets are shared,
 * not copied), `${ENV}` is replaced, and rejected parts are `refused`.
 */
export type ConfigNode = ScalarNode | NothingNode | ListNode | MapNode | RefusedNode;

export interface ScalarNode {
  readonly kind: "scalar";
  readonly span: Span;
  /** As written (`1.10` stays `1.10`), after unquoting and replacement of `${ENV}`. */
  readonly text: string;
  /** Unquoted. Only then it may be a number or a boolean. */
  readonly plain: boolean;
  /** Whether `${ENV}` was replaced. Then the text may be of any type, quoted or not. */
  readonly replaced: boolean;
}

/** An empty value, `~` or `null`. */
export interface NothingNode {
  readonly kind: "nothing";
  readonly span: Span;
}

export interface ListNode {
  readonly kind: "list";
  readonly span: Span;
  readonly items: readonly ConfigNode[];
}

export interface MapEntry {
  readonly key: string;
  readonly keySpan: Span;
  readonly value: ConfigNode;
}

export interface MapNode {
  readonly kind: "map";
  readonly span: Span;
  readonly entries: readonly MapEntry[];
}

/** A part whose problem is already reported. */
export interface RefusedNode {
  readonly kind: "refused";
  readonly span: Span;
}

/** A range of a file's text in UTF-16 offsets. `end` is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The place of what stands in no file. Only errors are reported there: nobody could do anything about a warning. */
export const nowhere: Span = { start: -1, end: -1 };

/** Both start at 1. Columns are UTF-16 units, as in editors and language servers. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

const maxQuote = 60;

/** Quotes a value for messages: JSON escapes keep control characters off the terminal. */
export function quote(text: string): string {
  const shown = text.length > maxQuote ? `${text.slice(0, maxQuote)}…` : text;
  return JSON.stringify(shown).replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

/** A node in the words of a message. */
export function describeNode(node: ConfigNode): string {
  switch (node.kind) {
    case "scalar":
      return node.plain ? quote(node.text) : `the string ${quote(node.text)}`;
    case "list":
      return "a list";
    case "map":
      return "a map";
    default:
      return "nothing";
  }
}

/** A file's text, with conversion of offsets to lines and columns. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  readonly #lineStarts: readonly number[];

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    const starts = [0];
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
    this.#lineStarts = starts;
  }

  /** Clamps offsets outside the text, so that every problem has a position. */
  position(offset: number): Position {
    const inside = Math.min(Math.max(offset, 0), this.text.length);
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= inside) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: inside - (this.#lineStarts[low] ?? 0) + 1 };
  }

  /** The line `number` (from 1) without its line break. */
  line(number: number): string {
    const start = this.#lineStarts[number - 1];
    if (start === undefined) return "";
    const next = this.#lineStarts[number];
    const line = this.text.slice(start, next === undefined ? this.text.length : next - 1);
    return line.endsWith("\r") ? line.slice(0, -1) : line;
  }
}
