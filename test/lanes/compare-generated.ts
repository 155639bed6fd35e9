import fc, { type Arbitrary } from "fast-check";
import type { LaneRun } from "./lane.ts";
import type { LaneCase } from "./lane-case.ts";
import { type LanePair, tell } from "./lane-pair.ts";

/** Saved seeds: those that once found something stay. PERCH_LANES_SEED repeats one that a failure names. */
export function seeds(...saved: readonly number[]): readonly number[] {
  const wanted = process.env["PERCH_LANES_SEED"];
  return wanted === undefined ? saved : [Number(wanted)];
}

/** Whether two runs of a case count as alike. */
export type Alike = (on: LaneRun, off: LaneRun) => boolean;

/** Sends generated cases through both lanes; a failure is made as small as it can be, and says how to repeat it. */
export async function compareGenerated(
  pair: LanePair,
  cases: Arbitrary<LaneCase>,
  alike: Alike,
  { seed, runs }: { readonly seed: number; readonly runs: number },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(cases, async (laneCase) => {
      const { on, off } = await pair.run(laneCase, "uncounted");
      if (on.view.includes("PROBLEM upstream") || !alike(on, off)) throw new Error(tell(laneCase, on, off));
    }),
    { seed, numRuns: runs, interruptAfterTimeLimit: shrinkLimitMs + runs * 200, verbose: 0 },
  );
}

/** What a failure may take to be made small. */
const shrinkLimitMs = 20_000;

export const equal: Alike = (on, off) => on.view === off.view && on.overdue.length === off.overdue.length;

/**
 * The standard lane's parser runs ahead: what is malformed behind a request makes that request's answer the last. The fast
 * lane answers it, and then refuses what follows. Both are right.
 */
export const equalSaveLookAhead: Alike = (on, off) => equal(on, off) || withoutLateRefusal(on.view) === off.view;

/** The view without a last 400, the answer before it closing instead. */
function withoutLateRefusal(view: string): string {
  const lines = view.split("\n");
  const refusal = lines.lastIndexOf("  HTTP/1.1 400 Bad Request");
  const before = lines.lastIndexOf("  Connection: keep-alive", refusal);
  if (refusal < 0 || before < 0) return view;
  const end = lines.findIndex((line, index) => index > refusal && line.startsWith("  (length)"));
  const rest = lines.toSpliced(refusal, end - refusal + 1);
  rest[before] = "  Connection: close";
  return rest.join("\n");
}

/** The fast lane may refuse what the standard lane's parser of responses forgives, never the other way. */
export const equalOrRefused: Alike = (on, off) =>
  equal(on, off) || /x-perch-error: upstream-(?:malformed|reset)/.test(on.view) || isCut(on.view);

/** Whether the client got no whole answer. */
function isCut(view: string): boolean {
  const client = view.slice(0, view.indexOf("\nupstream"));
  return client.startsWith("client 1: closed") && (client.endsWith("incomplete") || !client.includes("\n"));
}
