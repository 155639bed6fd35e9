import fc, { type Arbitrary } from "fast-check";
import type { LaneRun } from "./lane.ts";
import type { LaneCase } from "./lane-case.ts";
import { type LanePair, report } from "./lane-pair.ts";

/** Saved seeds, and those that once found a difference. PERCH_LANES_SEED repeats one that a failure names. */
export function seeds(...saved: readonly number[]): readonly number[] {
  const wanted = process.env["PERCH_LANES_SEED"];
  return wanted === undefined ? saved : [Number(wanted)];
}

/** Whether two views of a case count as equal. */
export type Alike = (on: LaneRun, off: LaneRun) => boolean;

/** Sends generated cases through both lanes; a failure is shrunk, and reports how to repeat it. */
export async function compareGenerated(
  pair: LanePair,
  cases: Arbitrary<LaneCase>,
  alike: Alike,
  { seed, runs }: { readonly seed: number; readonly runs: number },
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(cases, async (laneCase) => {
      const { on, off } = await pair.run(laneCase, "uncounted");
      if (on.view.includes("PROBLEM upstream") || !alike(on, off)) throw new Error(report(laneCase, on, off));
    }),
    { seed, numRuns: runs, interruptAfterTimeLimit: shrinkLimitMs + runs * 200, verbose: 0 },
  );
}

/** The limit for shrinking a failure. */
const shrinkLimitMs = 20_000;

export const equal: Alike = (on, off) => on.view === off.view && on.overdue.length === off.overdue.length;

/**
 * The standard lane's parser reads ahead: malformed bytes behind a request make its response the last. The fast lane
 * answers the request, and then refuses the bytes. Both are correct.
 */
export const equalSaveLookAhead: Alike = (on, off) => equal(on, off) || withoutLateRefusal(on.view) === off.view;

/** The view without a final 400; the response before it closes instead. */
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

/** The fast lane may refuse responses that the standard lane's parser accepts, not the other way round. */
export const equalOrRefused: Alike = (on, off) =>
  equal(on, off) || /x-perch-error: upstream-(?:malformed|reset)/.test(on.view) || isCut(on.view);

/** Whether the client received no complete response. */
function isCut(view: string): boolean {
  const client = view.slice(0, view.indexOf("\nupstream"));
  return client.startsWith("client 1: closed") && (client.endsWith("incomplete") || !client.includes("\n"));
}
