import { figure } from "./table.ts";

/** A goal, and the figure of this run. */
export interface Goal {
  readonly what: string;
  readonly unit: string;
  /** One of the two bounds is set. */
  readonly atMost?: number;
  readonly atLeast?: number;
  /** Undefined where this run did not measure it. */
  readonly measured: number | undefined;
  readonly outcome: "met" | "not met" | "not measured";
}

export function goal(what: string, unit: string, atMost: number, measured: number | undefined): Goal {
  return { what, unit, atMost, measured, outcome: outcomeOf(measured, (value) => value <= atMost) };
}

export function goalAtLeast(what: string, unit: string, atLeast: number, measured: number | undefined): Goal {
  return { what, unit, atLeast, measured, outcome: outcomeOf(measured, (value) => value >= atLeast) };
}

function outcomeOf(measured: number | undefined, isMet: (value: number) => boolean): Goal["outcome"] {
  if (measured === undefined) return "not measured";
  return isMet(measured) ? "met" : "not met";
}

export function goalLine({ what, unit, atMost, atLeast, measured, outcome }: Goal): string {
  const bound = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
  return `${outcome.padEnd(12)}  ${what}: ${figure(measured, 2)} ${unit}, ${bound}`;
}
