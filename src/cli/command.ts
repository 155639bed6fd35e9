import type { ParseArgsOptionsConfig } from "node:util";

/** The outcome of a command, as the shell sees it: 0 fine, 1 failed at run time, 2 usage or configuration. */
export type ExitCode = 0 | 1 | 2;

/** Where a command reads its surroundings and writes: results to `out`, messages to `err`. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Width and colours are for people only. */
  readonly isInteractive: boolean;
}

/** Values by option name, as `node:util` parses them. */
export type OptionValues = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

export interface CommandInput {
  readonly options: OptionValues;
  readonly positionals: readonly string[];
}

export interface Command {
  /** What follows `perch <name>`, then a line an option; printed by `--help`. */
  readonly usage: string;
  readonly options: ParseArgsOptionsConfig;
  run(input: CommandInput, terminal: Terminal): Promise<ExitCode>;
}

/** The command line itself is wrong: exit 2, with a pointer to `--help`. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A text option, or undefined where it was not given. */
export function textOption(options: OptionValues, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** Every value of an option that may be repeated. */
export function textOptions(options: OptionValues, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

/** How a column stands: numbers to the right, so that their digits line up. */
export type Alignment = "left" | "right";

const gap = "  ";

/** Rows as aligned lines, without blanks at their ends. Columns beyond `alignments` stand to the left. */
export function formatTable(rows: readonly (readonly string[])[], alignments: readonly Alignment[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, at) => (alignments[at] === "right" ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join(gap)
      .trimEnd(),
  );
}
