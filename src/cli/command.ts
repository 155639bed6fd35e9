import type { ParseArgsOptionsConfig } from "node:util";
import { columnsOf, padded } from "./text-block.ts";

/** The exit code of a command: 0 success, 1 failure at run time, 2 wrong usage or configuration. */
export type ExitCode = 0 | 1 | 2;

/** The environment and the output streams of a command: results go to `out`, messages to `err`. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether `out` is a terminal, which may be redrawn and coloured. */
  readonly isInteractive: boolean;
  /** The height of the window; undefined if it is not known. */
  rows?(): number | undefined;
}

/** Values by option name, as `node:util` parses them. */
export type OptionValues = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

export interface CommandInput {
  readonly options: OptionValues;
  readonly positionals: readonly string[];
}

export interface Command {
  /** What follows `perch <name>`, then one line per option. Printed by `--help`. */
  readonly usage: string;
  readonly options: ParseArgsOptionsConfig;
  run(input: CommandInput, terminal: Terminal): Promise<ExitCode>;
}

/** The command line itself is wrong: exit 2, with a pointer to `--help`. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The value of a string option, or undefined if it was not given. */
export function textOption(options: OptionValues, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** All values of a repeatable option. */
export function textOptions(options: OptionValues, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

export type Alignment = "left" | "right";

const gap = "  ";

/** Rows as aligned lines without trailing blanks. Columns without an entry in `alignments` are aligned left. */
export function formatTable(rows: readonly (readonly string[])[], alignments: readonly Alignment[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, columnsOf(cell));
  }
  return rows.map((row) =>
    row
      .map((cell, at) => padded(cell, widths[at] ?? 0, alignments[at] ?? "left"))
      .join(gap)
      .trimEnd(),
  );
}
