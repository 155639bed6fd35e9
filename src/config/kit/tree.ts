import type { Span } from "./source-text.ts";

/**
 * A configuration file as a tree that keeps where everything stands. It is neutral towards YAML: aliases are resolved
 * (their targets are shared, not copied), `${ENV}` is replaced, and whatever could not be accepted is `refused`.
 */
export type ConfigNode = ScalarNode | NothingNode | ListNode | MapNode | RefusedNode;

export interface ScalarNode {
  readonly kind: "scalar";
  readonly span: Span;
  /** As written (`1.10` stays `1.10`), after unquoting and replacement. */
  readonly text: string;
  /** Unquoted: only such a scalar may be a number or a boolean. */
  readonly plain: boolean;
  /** At least one `${ENV}` was replaced; the text may then be of any type, quoted or not. */
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

/** Its problem has been reported already; nothing more is said about it. */
export interface RefusedNode {
  readonly kind: "refused";
  readonly span: Span;
}

const longestQuote = 60;

/** A value as messages quote it: JSON's quotes and escapes, so that no control character reaches a terminal. */
export function quote(text: string): string {
  const shown = text.length > longestQuote ? `${text.slice(0, longestQuote)}…` : text;
  return JSON.stringify(shown).replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

/** What stands at a node, in the words of a message. */
export function describeNode(node: ConfigNode): string {
  switch (node.kind) {
    case "scalar":
      return node.plain ? quote(node.text) : `the text ${quote(node.text)}`;
    case "list":
      return "a list";
    case "map":
      return "a map";
    default:
      return "nothing";
  }
}
