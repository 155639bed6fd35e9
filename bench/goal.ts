import { figure } from "./table.ts";

/** What was promised, and what was measured in this run. */
export interface Goal {
  readonly what: string;
  readonly unit: string;
  readonly atMost: number;
  /** Undefined where the run did not measure it. */
  readonly measured: number | undefined;
  readonly outcome: "met" | "not met" | "not measured";
}

export function goal(what: string, unit: string, atMost: number, measured: number | undefined): Goal {
  const outcome = measured === undefined ? "not measured" : measured <= atMost ? "met" : "not met";
  return { what, unit, atMost, measured, outcome };
}

export function goalLine({ what, unit, atMost, measured, outcome }: Goal): string {
  return `${outcome.padEnd(12)}  ${what}: ${figure(measured, 2)} ${unit}, at most ${atMost}`;
}
