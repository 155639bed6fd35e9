import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  Parser,
  type Scalar,
} from "yaml";
import type { Problems } from "./diagnostics.ts";
import { type ConfigNode, type MapEntry, quote, type Span } from "./tree.ts";
import { maxDepth, reportYamlErrors } from "./yaml-errors.ts";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Replacement {
  readonly text: string;
  readonly replaced: boolean;
  /** Variables that are not set and have no default. */
  readonly unset: readonly string[];
}

/** Limits hostile files, as `maxDepth` does: the number of nodes with aliases expanded. */
const maxNodes = 1_000_000;

// With the failsafe schema every scalar stays a string; its type is decided by our schema, not guessed. Duplicate keys
// are checked here, since the composer compares every key with every other one.
const composerOptions = {
  schema: "failsafe",
  stringKeys: true,
  uniqueKeys: false,
  resolveKnownTags: false,
  logLevel: "silent",
} as const;

/** Parses the single YAML document of a file. Undefined if there is none; the problem is then reported. */
export function parseYamlTree(problems: Problems, environment: Environment): ConfigNode | undefined {
  const { text } = problems.source;
  let first: Document | undefined;
  let second: Document | undefined;
  for (const document of new Composer(composerOptions).compose(new Parser().parse(text), true, text.length)) {
    if (first === undefined) first = document as Document;
    else second ??= document as Document;
  }
  if (first !== undefined) reportYamlErrors(problems, first);
  if (second !== undefined) {
    const start = second.range?.[0] ?? text.length;
    const message = "the file contains more than one YAML document; only one is allowed";
    problems.error({ start, end: start }, { code: "syntax", message });
    problems.distrustFrom(start);
  }
  const start = { start: 0, end: 0 };
  const contents = (first?.contents ?? null) as Node | null;
  const { node } = new TreeBuilder(problems, environment).convert(contents, start, 0);
  if (node.kind !== "nothing") return node;
  if (!problems.failed) problems.error(start, { code: "syntax", message: "the file is empty" });
  return undefined;
}

/** A converted node with its size (aliases expanded) and height, which bound the cost of later walks. */
interface Built {
  readonly node: ConfigNode;
  readonly size: number;
  readonly height: number;
}

class TreeBuilder {
  readonly #problems: Problems;
  readonly #environment: Environment;
  /** The latest node of each anchor in document order; `undefined` while it is being built. */
  readonly #anchors = new Map<string, Built | undefined>();
  #nodes = 0;

  constructor(problems: Problems, environment: Environment) {
    this.#problems = problems;
    this.#environment = environment;
  }

  /** `fallback` is the location of a value that has no text. */
  convert(node: Node | null, fallback: Span, depth: number): Built {
    if (node === null) return this.#count({ kind: "nothing", span: fallback });
    const span = spanOf(node, fallback);
    if (isAlias(node)) return this.#resolve(node.source, span, depth);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, undefined);
    const built = this.#convertUnshared(node, span, fallback, depth);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, built);
    return built;
  }

  #convertUnshared(node: Node, span: Span, fallback: Span, depth: number): Built {
    if (node.tag !== undefined && node.tag !== null) {
      const tag = node.tag.replace(/^tag:yaml\.org,2002:/, "!!");
      return this.#refuse(span, `YAML tags such as ${quote(tag)} are not supported`);
    }
    if (isScalar(node)) return this.#convertScalar(node, span, fallback);
    if (depth >= maxDepth) return this.#refuse(span, `values nest deeper than ${maxDepth} levels`);
    if (isMap(node)) return this.#convertMap(node.items, span, depth);
    if (isSeq(node)) return this.#convertList(node.items, span, depth);
    return this.#refuse(span, "this is not a YAML value");
  }

  #convertScalar(node: Scalar, span: Span, fallback: Span): Built {
    const written = typeof node.value === "string" ? node.value : "";
    const plain = node.type === "PLAIN" || node.type === undefined;
    const { text, replaced, unset } = replaceEnvironment(written, this.#environment);
    for (const name of unset) {
      const message = `the environment variable ${name} is not set`;
      this.#problems.error(span, {
        code: "unset-variable",
        message,
        suggestion: `set it, or add a default: \${${name}:-default}`,
      });
    }
    if (unset.length > 0) return this.#count({ kind: "refused", span });
    if (plain && !replaced && nothingTexts.has(text)) {
      return this.#count({ kind: "nothing", span: text === "" ? fallback : span });
    }
    return this.#count({ kind: "scalar", span, text, plain, replaced });
  }

  #convertList(items: readonly unknown[], span: Span, depth: number): Built {
    const built = items.map((item) => this.convert(item as Node | null, this.#dashOf(item) ?? span, depth + 1));
    return this.#count({ kind: "list", span: headOf(span), items: built.map((item) => item.node) }, built);
  }

  /** The `-` of an item without a value; undefined for other items. */
  #dashOf(item: unknown): Span | undefined {
    const at = isScalar(item) ? item.range?.[0] : undefined;
    if (at === undefined) return undefined;
    const start = this.#problems.source.text.lastIndexOf("-", at);
    return start < 0 ? undefined : { start, end: start + 1 };
  }

  #convertMap(pairs: readonly Pair[], span: Span, depth: number): Built {
    const seen = new Map<string, Span>();
    const entries: MapEntry[] = [];
    const built: Built[] = [];
    for (const pair of pairs) {
      const key = this.#readKey(pair.key, span, depth);
      const value = this.convert((pair.value ?? null) as Node | null, key?.span ?? span, depth + 1);
      built.push(value);
      if (key === undefined || !this.#mayUseKey(key.text, key.span, seen)) continue;
      seen.set(key.text, key.span);
      entries.push({ key: key.text, keySpan: key.span, value: value.node });
    }
    return this.#count({ kind: "map", span: headOf(span), entries }, built);
  }

  /** Undefined for a key that is not a plain string, which the composer has reported. */
  #readKey(key: unknown, mapSpan: Span, depth: number): { text: string; span: Span } | undefined {
    if (!isScalar(key)) return undefined;
    if (key.anchor !== undefined) this.convert(key, mapSpan, depth);
    return { text: typeof key.value === "string" ? key.value : "", span: spanOf(key, mapSpan) };
  }

  #mayUseKey(key: string, span: Span, seen: ReadonlyMap<string, Span>): boolean {
    const earlier = seen.get(key);
    if (key === "<<") {
      this.#problems.error(span, {
        code: "not-supported",
        message: "YAML merge keys (<<) are not supported",
        suggestion: "repeat the keys, or use an alias for a whole value",
      });
    } else if (forbiddenKeys.has(key)) {
      this.#problems.error(span, { code: "forbidden-key", message: `${quote(key)} is not allowed as a key` });
    } else if (earlier !== undefined) {
      const { line } = this.#problems.source.position(earlier.start);
      const message = `duplicate key ${quote(key)}; it is already set on line ${line}`;
      this.#problems.error(span, { code: "duplicate-key", message });
    } else {
      return true;
    }
    return false;
  }

  #resolve(anchor: string, span: Span, depth: number): Built {
    if (!this.#anchors.has(anchor)) {
      const suggestion = /^[\w-]+$/.test(anchor)
        ? undefined
        : `a value that starts with * must be quoted: "*${anchor}"`;
      return this.#refuse(span, `the anchor ${quote(anchor)} is not defined before this alias`, suggestion);
    }
    const target = this.#anchors.get(anchor);
    if (target === undefined) return this.#refuse(span, `the alias ${quote(anchor)} is inside its own anchor`);
    if (depth + target.height > maxDepth) return this.#refuse(span, `values nest deeper than ${maxDepth} levels`);
    if (this.#nodes + target.size > maxNodes) {
      return this.#refuse(span, `aliases expand this file to more than ${maxNodes} values`);
    }
    this.#nodes += target.size;
    return target;
  }

  #refuse(span: Span, message: string, suggestion?: string): Built {
    this.#problems.error(span, { code: "syntax", message, suggestion });
    return this.#count({ kind: "refused", span });
  }

  #count(node: ConfigNode, children: readonly Built[] = []): Built {
    this.#nodes++;
    let size = 1;
    let height = 0;
    for (const child of children) {
      size += child.size;
      height = Math.max(height, child.height + 1);
    }
    return { node, size, height };
  }
}

const nothingTexts = new Set(["", "~", "null", "Null", "NULL"]);
const forbiddenKeys = new Set(["__proto__", "constructor", "prototype"]);

const spanOf = (node: { readonly range?: readonly number[] | null | undefined }, fallback: Span): Span => {
  const start = node.range?.[0];
  const end = node.range?.[1];
  return start === undefined || end === undefined ? fallback : { start, end };
};

/** The first character only, since a collection may span hundreds of lines. */
const headOf = (span: Span): Span => ({ start: span.start, end: span.start });

const opening = /\$?\$\{(?:([A-Z_][A-Z0-9_]*)(\}|:-))?/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}`. As in a shell, the default also replaces an empty value. `$${` gives `${`.
 * Other dollar signs are kept, so that regular expressions need no escapes.
 */
export function replaceEnvironment(text: string, environment: Environment): Replacement {
  const pieces: string[] = [];
  const unset: string[] = [];
  let replaced = false;
  let done = 0;
  // Openings behind the last brace have no end. Searching for it from each of them would take quadratic time.
  const lastBrace = text.lastIndexOf("}");
  for (const match of text.matchAll(opening)) {
    const { index } = match;
    if (index < done) continue;
    if (match[0].startsWith("$$")) {
      pieces.push(text.slice(done, index));
      done = index + 1;
      continue;
    }
    const reference = index < lastBrace ? readReference(text, match) : undefined;
    if (reference === undefined) continue;
    const value = lookUp(environment, reference);
    if (value === undefined) unset.push(reference.name);
    pieces.push(text.slice(done, index), value ?? "");
    done = reference.end;
    replaced = true;
  }
  if (done === 0) return { text, replaced, unset };
  return { text: pieces.join("") + text.slice(done), replaced, unset };
}

interface Reference {
  readonly name: string;
  readonly fallback: string | undefined;
  readonly end: number;
}

/** Undefined if the opening has no name or no end. */
function readReference(text: string, match: RegExpExecArray): Reference | undefined {
  const [whole, name, follows] = match;
  const afterOpening = match.index + whole.length;
  if (name === undefined) return undefined;
  if (follows === "}") return { name, fallback: undefined, end: afterOpening };
  const end = text.indexOf("}", afterOpening);
  return end === -1 ? undefined : { name, fallback: text.slice(afterOpening, end), end: end + 1 };
}

function lookUp(environment: Environment, { name, fallback }: Reference): string | undefined {
  // Own properties only: a plain object as environment inherits `constructor` and the like.
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
  return fallback !== undefined && (value === undefined || value === "") ? fallback : value;
}
