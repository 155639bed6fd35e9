import { type Complaint, type Diagnostic, type DiagnosticCode, diagnose } from "../diagnostics.ts";
import type { SourceText, Span } from "./source-text.ts";

const mostKept = 1_000;

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
  readonly complaint: Complaint;
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

  error(span: Span, complaint: Complaint): void {
    this.#errors++;
    this.#add({ severity: "error", span, complaint });
  }

  warn(span: Span, complaint: Complaint): void {
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
    if (this.#kept.size < mostKept) this.#kept.set(key, problem);
    else this.#left++;
  }
}
