import { type Position, SourceText, type Span } from "./tree.ts";

/** What kind of problem it is; stable, for tools that read `--json`. */
export type DiagnosticCode =
  | "unreadable-file"
  | "syntax"
  | "not-supported"
  | "unset-variable"
  | "unknown-key"
  | "forbidden-key"
  | "duplicate-key"
  | "missing-key"
  | "missing-value"
  | "conflicting-keys"
  | "wrong-type"
  | "bad-value"
  | "bad-regex"
  | "bad-weights"
  | "bad-file"
  | "duplicate-name"
  | "unknown-name"
  | "wrong-operator"
  | "unreachable"
  | "unused"
  | "risky"
  | "too-many-problems";

/** One problem of a configuration file, with its place. */
export interface Diagnostic {
  readonly code: DiagnosticCode;
  /** A file with an error is refused; warnings only tell. */
  readonly severity: "error" | "warning";
  readonly message: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** The line, printable, cut to a window around the place where it is long. */
  readonly excerpt: string;
  /** Where the caret stands below the excerpt, and how many carets: terminal stats, the offset from 0. */
  readonly caret: { readonly offset: number; readonly length: number };
  /** What to do, such as `did you mean "weight"?`. */
  readonly suggestion: string | undefined;
}

/** What is wrong, before its place is known. */
export interface DiagnosticInput {
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly suggestion?: string | undefined;
}

const windowWidth = 100;
const windowLead = 60;

// East Asian wide characters take two stats in a terminal; without this the caret would stand too far left.
const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/;

const stats = (text: string): number => {
  let count = 0;
  for (const character of text) count += wide.test(character) ? 2 : 1;
  return count;
};

/** Tabs become a space; control and invisible characters a dot, so that the excerpt neither moves a cursor nor deceives. */
const printable = (text: string): string => text.replace(/\t/g, " ").replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "·");

/** Messages quote the file, in the YAML parser's case whatever it stumbled over, be it megabytes. */
const tidy = (words: string): string => printable(words.length > 500 ? `${words.slice(0, 500)}…` : words);

export function diagnose(
  source: SourceText,
  span: Span,
  severity: Diagnostic["severity"],
  complaint: DiagnosticInput,
): Diagnostic {
  const { line, column } = source.position(span.start);
  const text = source.line(line);
  // The position may be one past the line's last character, as for something missing at its end.
  const from = Math.min(column - 1, text.length);
  const until = Math.max(from, Math.min(from + span.end - span.start, text.length));
  const cut = from > windowLead && text.length > windowWidth ? from - windowLead : 0;
  const lead = cut > 0 ? "…" : "";
  const visible = text.slice(cut, cut + windowWidth);
  const tail = cut + windowWidth < text.length ? "…" : "";
  const marked = visible.slice(from - cut, until - cut);
  return Object.freeze({
    code: complaint.code,
    severity,
    message: tidy(complaint.message),
    file: source.file,
    line,
    column,
    excerpt: `${lead}${printable(visible)}${tail}`,
    caret: Object.freeze({
      offset: lead.length + stats(visible.slice(0, from - cut)),
      length: Math.max(1, stats(marked)),
    }),
    suggestion: complaint.suggestion === undefined ? undefined : tidy(complaint.suggestion),
  });
}

/** A problem with the file itself, found before it had any text. */
export function diagnoseFile(file: string, message: string, place?: { position: Position; text: string }): Diagnostic {
  const source = new SourceText(file, place?.text ?? "");
  const column = (place?.position.column ?? 1) - 1;
  const found = diagnose(source, { start: column, end: column }, "error", { code: "unreadable-file", message });
  return place === undefined ? found : Object.freeze({ ...found, line: place.position.line });
}

/**
 * The problem as a terminal shows it: `perch.yaml:12:7: error: unknown key "wieght"; did you mean "weight"?`, then the
 * line and a caret below it.
 */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column, severity, message, suggestion, excerpt, caret } = diagnostic;
  const head = `${file}:${line}:${column}: ${severity}: ${message}${suggestion === undefined ? "" : `; ${suggestion}`}`;
  if (excerpt.trim() === "") return head;
  const gutter = String(line).padStart(4);
  const carets = " ".repeat(caret.offset) + "^".repeat(caret.length);
  return `${head}\n${gutter} | ${excerpt}\n${" ".repeat(gutter.length)} | ${carets}`;
}

const maxKept = 1_000;

/** What a part that the YAML parser lost would explain. */
const echoes: ReadonlySet<DiagnosticCode> = new Set([
  "missing-key",
  "missing-value",
  "unknown-name",
  "unreachable",
  "unused",
]);

interface Problem {
  readonly severity: "error" | "warning";
  readonly span: Span;
  readonly complaint: DiagnosticInput;
}

/** Collects every problem of one file. Excerpts are cut only in the end: most files have none. */
export class Problems {
  readonly source: SourceText;
  readonly #kept = new Map<string, Problem>();
  #errors = 0;
  #left = 0;
  #distrustedLine = Number.POSITIVE_INFINITY;

  constructor(source: SourceText) {
    this.source = source;
  }

  /** True once an error, not merely a warning, was reported. */
  get failed(): boolean {
    return this.#errors > 0;
  }

  /** How many errors were reported so far: whether a step had any shows in the difference. */
  get errorCount(): number {
    return this.#errors;
  }

  error(span: Span, complaint: DiagnosticInput): void {
    this.#errors++;
    this.#add({ severity: "error", span, complaint });
  }

  warn(span: Span, complaint: DiagnosticInput): void {
    this.#add({ severity: "warning", span, complaint });
  }

  /** The YAML parser guesses on after an error: from its line on nothing but syntax errors is told, and no echoes. */
  distrustFrom(offset: number): void {
    this.#distrustedLine = Math.min(this.#distrustedLine, this.source.position(offset).line);
  }

  /** All problems, in the order of the file. */
  diagnostics(): readonly Diagnostic[] {
    const found = [...this.#kept.values()]
      .filter((problem) => this.#isTrusted(problem))
      .sort((one, other) => one.span.start - other.span.start)
      .map(({ severity, span, complaint }) => diagnose(this.source, span, severity, complaint));
    if (this.#left > 0) {
      const message = `${this.#left} more problems are not shown`;
      const end = this.source.text.length;
      found.push(diagnose(this.source, { start: end, end }, "error", { code: "too-many-problems", message }));
    }
    return Object.freeze(found);
  }

  #isTrusted({ span, complaint }: Problem): boolean {
    if (complaint.code === "syntax" || this.#distrustedLine === Number.POSITIVE_INFINITY) return true;
    return !echoes.has(complaint.code) && this.source.position(span.start).line < this.#distrustedLine;
  }

  /** What an alias shares is read once for each of its uses; its problems are told once. */
  #add(problem: Problem): void {
    const key = `${problem.span.start} ${problem.severity} ${problem.complaint.message}`;
    if (this.#kept.has(key)) return;
    if (this.#kept.size < maxKept) this.#kept.set(key, problem);
    else this.#left++;
  }
}
