import { parseArgs } from "node:util";
import { median } from "./spread.ts";

/** How long and by whom a benchmark in turns is run. */
export interface TurnOptions {
  readonly rounds: number;
  readonly turnMs: number;
  readonly users: number;
  readonly connections: number;
}

/** Of the command line. `seconds`: the default of a turn. */
export function turnOptions(seconds: number): TurnOptions {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "15" },
      seconds: { type: "string", default: String(seconds) },
      users: { type: "string", default: "2000" },
      connections: { type: "string", default: "32" },
    },
  });
  return {
    rounds: Number(values.rounds),
    turnMs: Number(values.seconds) * 1_000,
    users: Number(values.users),
    connections: Number(values.connections),
  };
}

/** What was measured in one turn after the other, by mode. */
export interface Turns<Mode extends string> {
  readonly figures: ReadonlyMap<Mode, readonly number[]>;
  /** Of each other mode: its figures less those of the first mode in the same round. */
  readonly differences: ReadonlyMap<Mode, readonly number[]>;
}

/**
 * Measures all modes in turns of one process, so that what the machine does besides meets all of them. Every other round
 * goes backwards; the first two rounds warm up.
 */
export async function inTurns<Mode extends string>(
  modes: readonly [Mode, ...Mode[]],
  rounds: number,
  measure: (mode: Mode) => Promise<number>,
): Promise<Turns<Mode>> {
  for (const mode of [...modes, ...modes]) await measure(mode);
  const [first, ...others] = modes;
  const figures = new Map<Mode, number[]>(modes.map((mode) => [mode, []]));
  const differences = new Map<Mode, number[]>(others.map((mode) => [mode, []]));
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? modes : modes.toReversed();
    for (const mode of order) figures.get(mode)?.push(await measure(mode));
    const last = (mode: Mode) => figures.get(mode)?.at(-1) ?? Number.NaN;
    for (const mode of others) differences.get(mode)?.push(last(mode) - last(first));
  }
  return { figures, differences };
}

/** `unit`: of the figures, such as `µs of CPU a request`. The spread says what a difference is worth. */
export function turnsText<Mode extends string>({ figures, differences }: Turns<Mode>, unit: string): string {
  const [first = ""] = figures.keys();
  return [
    ...Array.from(figures, ([mode, all]) => `${mode}: ${spreadText(all)} ${unit}`),
    ...Array.from(differences, ([mode, all]) => `${mode} less ${first}, in neighbouring turns: ${spreadText(all)}`),
  ].join("\n");
}

function spreadText(values: readonly number[]): string {
  return `median ${rounded(median(values))} (${rounded(Math.min(...values))} to ${rounded(Math.max(...values))})`;
}

const rounded = (value = Number.NaN): string => value.toFixed(2);
