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
  type YAMLError,
} from "yaml";
import type { Problems } from "./diagnostics.ts";
import { type ConfigNode, type MapEntry, quote, type Span } from "./tree.ts";

/** How deep values may nest, and how many nodes there may be once aliases are written out: bounds for hostile files. */
const deepest = 100;
const maxNodes = 1_000_000;

const nothingTexts = new Set(["", "~", "null", "Null", "NULL"]);
const forbiddenKeys = new Set(["__proto__", "constructor", "prototype"]);

// Every scalar stays text (failsafe): the schema, not YAML's guess, says which type is wanted. Duplicate keys are looked
// for here, since the composer compares every key with every other.
const composerOptions = {
  schema: "failsafe",
  stringKeys: true,
  uniqueKeys: false,
  resolveKnownTags: false,
  logLevel: "silent",
} as const;

/** What `yaml` says in its own terms, for those of its errors that people meet. */
const plainWords: Readonly<Partial<Record<YAMLError["code"], string>>> = {
  TAB_AS_INDENT: "a tab may not indent; use spaces",
  BAD_INDENT: "this line's indentation fits neither its neighbours nor its parent",
  NON_STRING_KEY: "only plain texts can be keys",
  RESOURCE_EXHAUSTION: `values nest deeper than ${deepest} levels`,
};

/** Parses a file's one YAML document. Undefined where there is nothing to read; the problem is then reported. */
export function parseYamlTree(problems: Problems, environment: Environment): ConfigNode | undefined {
  const { text } = problems.source;
  let first: Document | undefined;
  let second: Document | undefined;
  for (const document of new Composer(composerOptions).compose(new Parser().parse(text), true, text.length)) {
    if (first === undefined) first = document as Document;
    else second ??= document as Document;
  }
  reportYamlErrors(problems, first?.errors ?? []);
  if (second !== undefined) {
    const start = second.range?.[0] ?? text.length;
    const message = "the file holds more than one YAML document; Perch reads one";
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

/**
 * One slip makes the parser stumble over what stands behind it: of its errors the first of each line is told, and of those
 * about tokens left over behind the document only the first of all.
 */
function reportYamlErrors(problems: Problems, errors: readonly YAMLError[]): void {
  const lines = new Set<number>();
  let lost = false;
  for (const error of errors.toSorted((one, other) => one.pos[0] - other.pos[0])) {
    const [start, end] = error.pos;
    const { line } = problems.source.position(start);
    if (lost || lines.has(line)) continue;
    lines.add(line);
    lost = error.code === "UNEXPECTED_TOKEN" && error.message.includes("in YAML stream");
    const said = plainWords[error.code] ?? error.message.charAt(0).toLowerCase() + error.message.slice(1);
    const suggestion = problems.source.text.startsWith("${", start - 1) ? unquotedVariable : undefined;
    problems.error({ start, end }, { code: "syntax", message: said, suggestion });
    problems.distrustFrom(start);
  }
}

const unquotedVariable = "inside { } and [ ] a value with a variable must stand in quotes";

/** A converted node with its size once aliases are written out, and its height; both bound what later walks do. */
interface Built {
  readonly node: ConfigNode;
  readonly size: number;
  readonly height: number;
}

const spanOf = (node: { readonly range?: readonly number[] | null | undefined }, otherwise: Span): Span => {
  const start = node.range?.[0];
  const end = node.range?.[1];
  return start === undefined || end === undefined ? otherwise : { start, end };
};

/** A collection is pointed at by its first character alone: it may be hundreds of lines long. */
const headOf = (span: Span): Span => ({ start: span.start, end: span.start });

class TreeBuilder {
  readonly #problems: Problems;
  readonly #environment: Environment;
  /** The latest node of each anchor, in document order; `undefined` while that node is still being built. */
  readonly #anchors = new Map<string, Built | undefined>();
  #nodes = 0;

  constructor(problems: Problems, environment: Environment) {
    this.#problems = problems;
    this.#environment = environment;
  }

  /** `otherwise` is where to point for a value that has no text of its own. */
  convert(node: Node | null, otherwise: Span, depth: number): Built {
    if (node === null) return this.#count({ kind: "nothing", span: otherwise });
    const span = spanOf(node, otherwise);
    if (isAlias(node)) return this.#resolve(node.source, span, depth);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, undefined);
    const built = this.#convertUnshared(node, span, otherwise, depth);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, built);
    return built;
  }

  #convertUnshared(node: Node, span: Span, otherwise: Span, depth: number): Built {
    if (node.tag !== undefined && node.tag !== null) {
      const tag = node.tag.replace(/^tag:yaml\.org,2002:/, "!!");
      return this.#refuse(span, `YAML tags are not supported, here ${quote(tag)}`);
    }
    if (isScalar(node)) return this.#convertScalar(node, span, otherwise);
    if (depth >= deepest) return this.#refuse(span, `values nest deeper than ${deepest} levels`);
    if (isMap(node)) return this.#convertMap(node.items, span, depth);
    if (isSeq(node)) return this.#convertList(node.items, span, depth);
    return this.#refuse(span, "this is not a YAML value");
  }

  #convertScalar(node: Scalar, span: Span, otherwise: Span): Built {
    const written = typeof node.value === "string" ? node.value : "";
    const plain = node.type === "PLAIN" || node.type === undefined;
    const { text, replaced, unset } = replaceEnvironment(written, this.#environment);
    for (const name of unset) {
      const message = `the environment variable ${name} is not set`;
      this.#problems.error(span, {
        code: "unset-variable",
        message,
        suggestion: `set it, or give a default: \${${name}:-default}`,
      });
    }
    if (unset.length > 0) return this.#count({ kind: "refused", span });
    if (plain && !replaced && nothingTexts.has(text)) {
      return this.#count({ kind: "nothing", span: text === "" ? otherwise : span });
    }
    return this.#count({ kind: "scalar", span, text, plain, replaced });
  }

  #convertList(items: readonly unknown[], span: Span, depth: number): Built {
    const built = items.map((item) => this.convert(item as Node | null, span, depth + 1));
    return this.#count({ kind: "list", span: headOf(span), items: built.map((item) => item.node) }, built);
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

  /** A key that is no plain text was reported by the composer. */
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
        suggestion: "write the keys out, or use an alias for a whole value",
      });
    } else if (forbiddenKeys.has(key)) {
      this.#problems.error(span, { code: "forbidden-key", message: `${quote(key)} may not be a key` });
    } else if (earlier !== undefined) {
      const { line } = this.#problems.source.position(earlier.start);
      const message = `duplicate key ${quote(key)}; line ${line} has it already`;
      this.#problems.error(span, { code: "duplicate-key", message });
    } else {
      return true;
    }
    return false;
  }

  #resolve(anchor: string, span: Span, depth: number): Built {
    if (!this.#anchors.has(anchor)) return this.#refuse(span, `no anchor ${quote(anchor)} stands before this alias`);
    const target = this.#anchors.get(anchor);
    if (target === undefined) return this.#refuse(span, `the alias ${quote(anchor)} stands inside its own anchor`);
    if (depth + target.height > deepest) return this.#refuse(span, `values nest deeper than ${deepest} levels`);
    if (this.#nodes + target.size > maxNodes) {
      return this.#refuse(span, `aliases multiply this file to more than ${maxNodes} values`);
    }
    this.#nodes += target.size;
    return target;
  }

  #refuse(span: Span, message: string): Built {
    this.#problems.error(span, { code: "syntax", message });
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

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Replacement {
  readonly text: string;
  readonly replaced: boolean;
  /** Variables that are not set and have no default. */
  readonly unset: readonly string[];
}

const opening = /\$?\$\{(?:([A-Z_][A-Z0-9_]*)(\}|:-))?/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}`; as in a shell, the default also stands in for an empty value. `$${` gives
 * `${`. Anything else with a dollar sign is left alone, so that regular expressions need no escapes.
 */
export function replaceEnvironment(text: string, environment: Environment): Replacement {
  const pieces: string[] = [];
  const unset: string[] = [];
  let replaced = false;
  let done = 0;
  // Openings behind the last brace have no end, and looking for it from each of them would take quadratic time.
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

/** Undefined where the opening has no name or no end. */
function readReference(text: string, match: RegExpExecArray): Reference | undefined {
  const [whole, name, follows] = match;
  const afterOpening = match.index + whole.length;
  if (name === undefined) return undefined;
  if (follows === "}") return { name, fallback: undefined, end: afterOpening };
  const end = text.indexOf("}", afterOpening);
  return end === -1 ? undefined : { name, fallback: text.slice(afterOpening, end), end: end + 1 };
}

function lookUp(environment: Environment, { name, fallback }: Reference): string | undefined {
  // An own property only: a process's environment has no `constructor`, but a plain object in its stead has.
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
  return fallback !== undefined && (value === undefined || value === "") ? fallback : value;
}
