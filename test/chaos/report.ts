import type { Lane } from "./stage.ts";

/** The result of one fault in one lane. */
export interface Row {
  readonly lane: Lane;
  readonly fault: string;
  readonly requests: number;
  readonly failed: number;
  readonly reasons: Readonly<Record<string, number>>;
  /** Failures that Perch could have prevented. */
  readonly unexcused: number;
  readonly wrong: number;
  readonly wrongs: Readonly<Record<string, number>>;
  /** From the end of the fault to the last failure. */
  readonly recoveredInMs: number;
  /** The serving process ended. */
  readonly died: boolean;
}

const header = ["lane", "fault", "requests", "failed", "unexcused", "wrong", "recovered in", "reasons"];

export function table(rows: readonly Row[]): string {
  const lines = [header, ...rows.map(stats)];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const drawn = lines.map((line) =>
    line
      .map((counter, column) => counter.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return [...drawn, "", verdict(rows)].join("\n");
}

function stats(row: Row): string[] {
  const counts = [row.requests, row.failed, row.unexcused, row.wrong].map(String);
  const reasons = Object.entries({ ...row.reasons, ...row.wrongs }).map(([reason, count]) => `${count} × ${reason}`);
  if (row.died) reasons.push("Perch ended");
  return [row.lane, row.fault, ...counts, `${row.recoveredInMs} ms`, reasons.join(", ")];
}

function verdict(rows: readonly Row[]): string {
  const total = (figure: "requests" | "failed" | "unexcused" | "wrong") =>
    rows.reduce((sum, row) => sum + row[figure], 0);
  return `${total("requests")} requests, ${total("failed")} failed, ${total("unexcused")} of them without excuse, ${total("wrong")} answered wrong`;
}
