import { type Position, SourceText, type Span } from "./tree.ts";

/** The kind of problem. Stable: tools read it from `--json`. */
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

/** One problem of a configuration file, with its location. */
export interface Diagnostic {
  readonly code: DiagnosticCode;
  /** A file with an error is rejected. */
  readonly severity: "error" | "warning";
  readonly message: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** The line, with unprintable characters replaced. A long line is cut to a window around the location. */
  readonly excerpt: string;
  /** Position and number of the carets below the excerpt, in terminal columns; `offset` starts at 0. */
  readonly caret: { readonly offset: number; readonly length: number };
  /** How to fix it, such as `did you mean "weight"?`. */
  readonly suggestion: string | undefined;
}

/** A problem without its location. */
export interface DiagnosticInput {
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly suggestion?: string | undefined;
  /** The text at this place may be a secret: the excerpt does not show it. */
  readonly hidesText?: boolean | undefined;
}

export function diagnose(
  source: SourceText,
  span: Span,
  severity: Diagnostic["severity"],
  input: DiagnosticInput,
): Diagnostic {
  const { line, column } = source.position(span.start);
  const written = source.line(line);
  // The position may be one past the last character, if something is missing at the end of the line.
  const from = Math.min(column - 1, written.length);
  const until = Math.max(from, Math.min(from + span.end - span.start, written.length));
  const hidden = "*".repeat(until - from);
  const text = input.hidesText === true ? written.slice(0, from) + hidden + written.slice(until) : written;
  const cut = from > windowLead && text.length > windowWidth ? from - windowLead : 0;
  const lead = cut > 0 ? "…" : "";
  const visible = text.slice(cut, cut + windowWidth);
  const tail = cut + windowWidth < text.length ? "…" : "";
  const marked = visible.slice(from - cut, until - cut);
  return Object.freeze({
    code: input.code,
    severity,
    message: printableMessage(input.message),
    file: source.file,
    line,
    column,
    excerpt: `${lead}${printable(visible)}${tail}`,
    caret: Object.freeze({
      offset: lead.length + columnsOf(visible.slice(0, from - cut)),
      length: Math.max(1, columnsOf(marked)),
    }),
    suggestion: input.suggestion === undefined ? undefined : printableMessage(input.suggestion),
  });
}

const windowWidth = 100;
/** The part of the window in front of the location. */
const windowLead = 60;

/** Tabs become spaces, control and invisible characters dots: the excerpt must not move the cursor or mislead. */
const printable = (text: string): string => text.replace(/\t/g, " ").replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "·");

/** Cut, since errors of the YAML parser may quote megabytes of the file. */
const printableMessage = (text: string): string => printable(text.length > 500 ? `${text.slice(0, 500)}…` : text);

const columnsOf = (text: string): number => {
  let count = 0;
  for (const character of text) count += wide.test(character) ? 2 : 1;
  return count;
};

/** East Asian wide characters, which take two terminal columns. */
const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/;

/** A problem with the file itself, before any of it could be parsed. */
export function diagnoseFile(file: string, message: string, place?: { position: Position; text: string }): Diagnostic {
  const source = new SourceText(file, place?.text ?? "");
  const column = (place?.position.column ?? 1) - 1;
  const found = diagnose(source, { start: column, end: column }, "error", { code: "unreadable-file", message });
  return place === undefined ? found : Object.freeze({ ...found, line: place.position.line });
}

/**
 * A problem as text: `perch.yaml:12:7: error: unknown key "wieght"; did you mean "weight"?`, followed by the line and
 * carets below it.
 */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column, severity, message, suggestion, excerpt, caret } = diagnostic;
  const head = `${file}:${line}:${column}: ${severity}: ${message}${suggestion === undefined ? "" : `; ${suggestion}`}`;
  if (excerpt.trim() === "") return head;
  const gutter = String(line).padStart(4);
  const carets = " ".repeat(caret.offset) + "^".repeat(caret.length);
  return `${head}\n${gutter} | ${excerpt}\n${" ".repeat(gutter.length)} | ${carets}`;
}

/** The errors alone. Where a file is rejected, people need these; its warnings can wait until it loads. */
export function errorsOf(problems: readonly Diagnostic[]): readonly Diagnostic[] {
  return problems.filter(({ severity }) => severity === "error");
}

/** Collects the problems of one file. Excerpts are made only in `diagnostics`. */
export class Problems {
  readonly source: SourceText;
  readonly #kept = new Map<string, Problem>();
  /** The keys of the warnings in `#kept`. */
  readonly #keptWarnings = new Set<string>();
  #errors = 0;
  #dropped = 0;
  #unreliableLine = Number.POSITIVE_INFINITY;

  constructor(source: SourceText) {
    this.source = source;
  }

  /** True once an error was reported; warnings do not count. */
  get failed(): boolean {
    return this.#errors > 0;
  }

  /** The number of errors so far. Compare two values to know whether a step reported any. */
  get errorCount(): number {
    return this.#errors;
  }

  error(span: Span, input: DiagnosticInput): void {
    this.#errors++;
    this.#add({ severity: "error", span, input });
  }

  warn(span: Span, input: DiagnosticInput): void {
    if (span.start < 0) return;
    this.#add({ severity: "warning", span, input });
  }

  /**
   * The YAML parser guesses after a syntax error. So only syntax errors are reported from the line of `offset` on, and
   * problems that may be mere consequences are dropped in the whole file.
   */
  distrustFrom(offset: number): void {
    this.#unreliableLine = Math.min(this.#unreliableLine, this.source.position(offset).line);
  }

  /** All problems: the errors in file order, then the warnings in file order. */
  diagnostics(): readonly Diagnostic[] {
    const found = [...this.#kept.values()]
      .filter((problem) => this.#isReliable(problem))
      .sort((one, other) => rank(one) - rank(other) || one.span.start - other.span.start)
      .map(({ severity, span, input }) => diagnose(this.source, span, severity, input));
    if (this.#dropped > 0) {
      const message = `${this.#dropped} more problems are not shown`;
      const end = this.source.text.length;
      const severity = this.failed ? "error" : "warning";
      found.push(diagnose(this.source, { start: end, end }, severity, { code: "too-many-problems", message }));
    }
    return Object.freeze(found);
  }

  #isReliable({ span, input }: Problem): boolean {
    if (input.code === "syntax" || this.#unreliableLine === Number.POSITIVE_INFINITY) return true;
    return !consequences.has(input.code) && this.source.position(span.start).line < this.#unreliableLine;
  }

  /** Deduplicates: the target of an alias is read once per use. */
  #add(problem: Problem): void {
    const key = `${problem.span.start} ${problem.severity} ${problem.input.message}`;
    if (this.#kept.has(key)) return;
    if (this.#kept.size >= maxKept) {
      this.#dropped++;
      // An error is more useful than a warning, so it replaces one.
      const replaced = problem.severity === "error" ? this.#keptWarnings.values().next().value : undefined;
      if (replaced === undefined) return;
      this.#kept.delete(replaced);
      this.#keptWarnings.delete(replaced);
    }
    this.#kept.set(key, problem);
    if (problem.severity === "warning") this.#keptWarnings.add(key);
  }
}

const rank = ({ severity }: Problem): number => (severity === "error" ? 0 : 1);

const maxKept = 1_000;

/** Problems that may be mere consequences of a part that the YAML parser lost. */
const consequences: ReadonlySet<DiagnosticCode> = new Set([
  "missing-key",
  "missing-value",
  "unknown-name",
  "unreachable",
  "unused",
]);

interface Problem {
  readonly severity: "error" | "warning";
  readonly span: Span;
  readonly input: DiagnosticInput;
}
