import { type Document, isCollection, isPair, isScalar, type YAMLError } from "yaml";
import type { Problems } from "./diagnostics.ts";
import { quote, type SourceText, type Span } from "./tree.ts";

/** Values nest at most this deep. */
export const maxDepth = 100;

/**
 * Reports the syntax errors that the parser found. After most mistakes it guesses, and its further errors are about the
 * guess, so that only the first is reported.
 */
export function reportYamlErrors(problems: Problems, document: Document): void {
  if (document.errors.length === 0) return;
  const { source } = problems;
  const layout = layoutOf(document, source.text);
  for (const error of document.errors.toSorted((one, other) => one.pos[0] - other.pos[0])) {
    const { span, message, suggestion, guessesFrom } =
      unclosedQuote(document.errors, layout, source) ??
      overlongQuote(error, layout, source) ??
      enclosingUnclosed(error, document.errors, layout, source) ??
      describe(error, source);
    problems.error(span, { code: "syntax", message, suggestion });
    problems.distrustFrom(guessesFrom ?? span.start);
    if (!recovered.has(error.code)) return;
  }
}

/** After these the parser reads on as its author meant it. */
const recovered: ReadonlySet<YAMLError["code"]> = new Set(["BAD_DQ_ESCAPE", "BAD_SCALAR_START", "NON_STRING_KEY"]);

/** A mistake in the words of its author: what is wrong, where, and what to do. */
interface Slip {
  readonly span: Span;
  readonly message: string;
  readonly suggestion?: string | undefined;
  /** From where the tree is a guess. Default: the start of `span`. */
  readonly guessesFrom?: number;
}

interface Layout {
  /** The start of each flow collection, by its opening bracket and end; the innermost if several end together. */
  readonly flows: ReadonlyMap<string, number>;
  /** Quoted values, in the order of the walk. */
  readonly quotes: readonly Span[];
}

/** One iterative walk: files may nest deeply and have many errors. */
function layoutOf(document: Document, text: string): Layout {
  const pending: unknown[] = [document.contents];
  const flows = new Map<string, number>();
  const quotes: Span[] = [];
  while (pending.length > 0) {
    const node = pending.pop();
    if (isScalar(node) && node.type?.startsWith("QUOTE") && node.range) {
      // Anchors and tags belong to the range.
      const start = text.slice(node.range[0], node.range[1]).search(/["']/) + node.range[0];
      quotes.push({ start, end: node.range[1] });
    }
    if (!isCollection(node)) continue;
    for (const item of node.items) {
      if (isPair(item)) pending.push(item.key, item.value);
      else pending.push(item);
    }
    if (node.flow !== true || node.range === undefined || node.range === null) continue;
    const [start, end] = node.range;
    const key = `${text[start]}${end}`;
    flows.set(key, Math.max(flows.get(key) ?? start, start));
  }
  return { flows, quotes };
}

/** An unclosed bracket around the place of an error is the cause of that error. */
function enclosingUnclosed(error: YAMLError, all: readonly YAMLError[], layout: Layout, source: SourceText) {
  for (const other of all) {
    const slip = unclosedBracket(other, layout, source);
    if (slip?.guessesFrom !== undefined && slip.guessesFrom <= error.pos[0] && error.pos[0] <= other.pos[0])
      return slip;
  }
  return undefined;
}

/**
 * A flow collection without its closing bracket. The parser reports these as bad indentation, at the line where it gives
 * up. Undefined for other errors.
 */
function unclosedBracket(error: YAMLError, { flows }: Layout, source: SourceText): Slip | undefined {
  const close = /^Flow (?:map|sequence) .*end with a ([\]}])$/.exec(error.message)?.[1];
  if (close === undefined) return undefined;
  const open = close === "]" ? "[" : "{";
  const [start, end] = error.pos;
  const opened = flows.get(`${open}${start}`);
  if (opened === undefined) return undefined;
  const found = source.text[start];
  const isOther = found !== close && (found === "]" || found === "}");
  const suggestion = isOther
    ? `add ${close} before this ${found}, or remove the ${found}`
    : `add ${close}, or indent the lines inside ${open} ${close} further`;
  return {
    span: { start, end },
    message: `the ${open} opened at ${at(source, opened)} is not closed`,
    suggestion,
    guessesFrom: opened,
  };
}

function describe(error: YAMLError, source: SourceText): Slip {
  const [start, end] = error.pos;
  const span = { start, end };
  return (
    lookAlikeSpace(error, source) ??
    slipByCode[error.code]?.(span, source, error.message) ?? {
      span,
      message: error.message.charAt(0).toLowerCase() + error.message.slice(1),
    }
  );
}

/** An unclosed quote: the value extends to the end of the file. */
function unclosedQuote(all: readonly YAMLError[], { quotes }: Layout, source: SourceText): Slip | undefined {
  const ends = all.filter(({ message }) => /^Missing closing ["']quote/.test(message)).map(({ pos }) => pos[0]);
  const before = quotes.filter(({ start }) => start < Math.min(...ends, source.text.length) && ends.length > 0);
  // Of several that span lines the first one is more likely to have lost its partner than the last.
  const spanning = before.filter((one) => spansLines(one, source)).map(({ start }) => start);
  const opened = spanning.length > 0 ? Math.min(...spanning) : Math.max(...before.map(({ start }) => start));
  if (!Number.isFinite(opened)) return undefined;
  const mark = source.text[opened];
  return {
    span: { start: opened, end: opened + 1 },
    message: `the ${mark} opened at ${at(source, opened)} is not closed`,
    suggestion: `add ${mark} at the end of the value`,
  };
}

/** An unclosed quote: the value extends to the next quote, and the text after that one is not YAML. */
function overlongQuote(error: YAMLError, { quotes }: Layout, source: SourceText): Slip | undefined {
  const [start] = error.pos;
  const { line } = source.position(start);
  const endsHere = ({ end }: Span) => end <= start && source.position(end).line === line;
  const before = quotes.find((one) => spansLines(one, source) && (one.start === start || endsHere(one)));
  if (before === undefined) return undefined;
  const mark = source.text[before.start];
  return {
    span: { start: before.start, end: before.start + 1 },
    message: `the ${mark} opened at ${at(source, before.start)} is closed only at ${at(source, before.end - 1)}`,
    suggestion: `add ${mark} at the end of the value`,
  };
}

function spansLines({ start, end }: Span, source: SourceText): boolean {
  return source.position(start).line < source.position(Math.max(start, end - 1)).line;
}

/** Spaces in text copied from a web page or a chat, which YAML does not treat as spaces. */
function lookAlikeSpace(error: YAMLError, source: SourceText): Slip | undefined {
  if (!aboutKeys.has(error.code)) return undefined;
  const { start, text } = lineAt(source, error.pos[0]);
  const found = /[\u00a0\u2000-\u200b\u3000\ufeff]/.exec(text);
  if (found === null) return undefined;
  const code = (found[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  const place = start + found.index;
  return {
    span: { start: place, end: place + 1 },
    message: `this character (U+${code}) looks like a space but is not one`,
    suggestion: "type an ordinary space",
  };
}

const aboutKeys: ReadonlySet<YAMLError["code"]> = new Set(["BLOCK_AS_IMPLICIT_KEY", "MULTILINE_IMPLICIT_KEY"]);

const quoteIt = "put the whole value in quotes";

/** Texts for frequent errors of the `yaml` package, whose own are about the grammar. */
const slipByCode: Readonly<
  Partial<Record<YAMLError["code"], (span: Span, source: SourceText, message: string) => Slip | undefined>>
> = {
  TAB_AS_INDENT: (span) => ({ span, message: "tabs are not allowed as indentation", suggestion: "use spaces" }),
  BAD_INDENT: (span, source, message) =>
    itemWithoutDash(span, source, message) ?? {
      span: firstWord(source, span.start),
      message: "the indentation of this line matches no enclosing block",
      suggestion: "line it up with the lines that it belongs to",
    },
  NON_STRING_KEY: (span) => ({ span, message: "keys must be plain strings" }),
  RESOURCE_EXHAUSTION: (span) => ({ span, message: `values nest deeper than ${maxDepth} levels` }),
  MULTILINE_IMPLICIT_KEY: missingColon,
  BLOCK_AS_IMPLICIT_KEY: (span, source, message) =>
    message.includes("block sequence") ? strayDash(span) : unexpectedMap(span, source),
  BLOCK_IN_FLOW: (span, source) =>
    missingComma(span, source) ??
    colonInValue(span, source) ?? {
      span,
      message: "this line cannot stand inside [ ] or { }",
      suggestion: "close the bracket before it, or separate the entries with commas",
    },
  MISSING_CHAR(span, source, message) {
    if (message.startsWith("Implicit map keys")) return missingColon(span, source);
    if (message.startsWith("Missing space after :")) {
      return { span, message: "a space is missing after the colon", suggestion: 'write "key: value"' };
    }
    if (/^Missing , (?:or : )?between/.test(message)) {
      return { span: firstWord(source, span.start), message: "a comma is missing before this" };
    }
    return itemWithoutDash(span, source, message);
  },
  UNEXPECTED_TOKEN: unexpectedToken,
  BAD_SCALAR_START: (span, source) => ({
    span,
    message: `a value cannot start with ${source.text[span.start]}`,
    suggestion: quoteIt,
  }),
  BAD_DQ_ESCAPE: (span, _source, message) => ({
    span,
    message: `${message.replace("Invalid escape sequence ", "")} is not an escape sequence of double quotes`,
    suggestion: "use single quotes, or write \\\\ for a backslash",
  }),
};

/** A line that should be `key: value`, or `key:`. */
function missingColon({ start }: Span, source: SourceText): Slip {
  const line = restOfLine(source, start);
  const span = { start, end: start + line.length };
  const wide = line.indexOf("：");
  if (wide >= 0) {
    const place = { start: start + wide, end: start + wide + 1 };
    return { span: place, message: '"：" is not a colon to YAML', suggestion: 'write ":" and a space' };
  }
  const joined = /^([\w.-]+):(\S.*)$/.exec(line);
  if (joined !== null) {
    const suggestion = `write ${joined[1]}: ${joined[2]}`;
    return { span, message: "a space is missing after the colon", suggestion };
  }
  const [word = "", ...rest] = line.split(/\s+/);
  const suggestion = rest.length === 0 ? `write ${word}:` : `write ${word}: ${rest.join(" ")}`;
  return { span, message: `a colon is missing after ${quote(word)}`, suggestion };
}

/** A map where the parser has already read a value: a line that is too deep, or a value with a colon. */
function unexpectedMap(span: Span, source: SourceText): Slip | undefined {
  const line = lineAt(source, span.start);
  const dash = /^\s*-(?=[^\s-])/.exec(line.text);
  if (dash !== null) {
    const start = line.start + dash[0].length - 1;
    return { span: { start, end: start + 1 }, message: 'a space is missing after the "-"' };
  }
  const next = firstWord(source, line.start + line.text.length + 1);
  const key = /([^\s:]+)\s*:\s*$/.exec(line.text.slice(0, span.start - line.start));
  const inValue = colonInValue(span, source);
  if (inValue !== undefined || key === null) return inValue;
  return {
    span: next,
    message: `this line is indented further than ${quote(key[1] ?? "")} in the line above`,
    suggestion: `start it in column ${key.index + 1} if it belongs beside that key`,
    guessesFrom: span.start,
  };
}

function strayDash({ start }: Span): Slip {
  return {
    span: { start, end: start + 1 },
    message: 'there is a list item ("-") among keys',
    suggestion: 'remove the "-", or indent it below the key of its list',
  };
}

/** `{ name: shop service: shop }`. */
function missingComma({ start }: Span, source: SourceText): Slip | undefined {
  const found = /^([^\s:,]+\s+)([\w-]+)\s*:/.exec(restOfLine(source, start));
  if (found === null) return undefined;
  const place = start + (found[1]?.length ?? 0);
  const word = found[2] ?? "";
  return {
    span: { start: place, end: place + word.length },
    message: `a comma is missing before ${quote(word)}`,
  };
}

function colonInValue({ start }: Span, source: SourceText): Slip | undefined {
  const value = restOfLine(source, start);
  if (!/:(?:\s|$)/.test(value)) return undefined;
  const span = { start, end: start + value.length };
  return { span, message: 'a value that contains ": " must be quoted', suggestion: quoteIt };
}

function itemWithoutDash(span: Span, source: SourceText, message: string): Slip | undefined {
  if (message !== "Sequence item without - indicator") return undefined;
  return {
    span: firstWord(source, span.start),
    message: "this line is neither a list item nor lined up with the keys of the item above",
    suggestion: 'begin it with "- ", or start it in the column of those keys',
  };
}

function unexpectedToken(span: Span, source: SourceText, message: string): Slip | undefined {
  const { text } = source;
  const variable = /^\$\{[^}]*\}/.exec(text.slice(span.start - 1, span.start + 200));
  if (variable !== null) {
    return {
      span: { start: span.start - 1, end: span.start - 1 + variable[0].length },
      message: "inside { } and [ ] a value with a variable must be quoted",
      suggestion: `write "${variable[0]}"`,
    };
  }
  const found = text[span.start];
  if (message.includes("in YAML stream") && (found === "}" || found === "]")) {
    const open = found === "}" ? "{" : "[";
    const end = span.start + 1;
    return {
      span: { start: span.start, end },
      message: `this ${found} closes nothing`,
      suggestion: `remove it, or add the missing ${open} before it`,
    };
  }
  if (message.startsWith("Unexpected ,")) {
    return { span, message: "there is no value before this comma", suggestion: "add one, or remove the comma" };
  }
  if (!message.includes("at node end")) return undefined;
  const before = text.slice(0, span.start).trimEnd().at(-1);
  if (before === '"' || before === "'") {
    return { span, message: "there is text after the closing quote of this value", suggestion: quoteIt };
  }
  if (before !== "]" && before !== "}") return undefined;
  return {
    span,
    message: `there is text after the closing ${before}`,
    suggestion: "add a comma before it if it is the next entry, else remove it",
  };
}

function at(source: SourceText, offset: number): string {
  const { line, column } = source.position(offset);
  return `${line}:${column}`;
}

/** The line around an offset, and where it starts. */
function lineAt(source: SourceText, offset: number): { readonly start: number; readonly text: string } {
  const { line, column } = source.position(offset);
  return { start: offset - column + 1, text: source.line(line) };
}

/** Without a comment and trailing spaces. */
function restOfLine(source: SourceText, offset: number): string {
  const { start, text } = lineAt(source, offset);
  return text
    .slice(offset - start)
    .replace(/\s#.*$/, "")
    .trimEnd();
}

/** From an offset on, over spaces, empty lines and comments. */
function firstWord(source: SourceText, offset: number): Span {
  const skipped = /(?:\s+|#.*(?:\n|$))*/y;
  skipped.lastIndex = offset;
  skipped.exec(source.text);
  const start = Math.min(Math.max(skipped.lastIndex, offset), source.text.length);
  return { start, end: start + (/^\S*/.exec(restOfLine(source, start))?.[0].length ?? 0) };
}
