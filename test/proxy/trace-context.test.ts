import { describe, expect, test } from "vitest";
import { formatTraceParent, parseTraceParent } from "../../src/proxy/trace.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const parentId = "b7ad6b7169203331";

/** What is sent, and whether it counts. */
const cases: readonly (readonly [string, string, boolean])[] = [
  ["sampled", `00-${traceId}-${parentId}-01`, true],
  ["not sampled", `00-${traceId}-${parentId}-00`, true],
  ["with flags of a later level", `00-${traceId}-${parentId}-ff`, true],
  ["of a later version", `cc-${traceId}-${parentId}-01`, true],
  ["of a later version that says more", `cc-${traceId}-${parentId}-01-what-the-future-will-be`, true],
  ["of a later version that says more without a dash", `cc-${traceId}-${parentId}-01.x`, false],
  ["of this version that says more", `00-${traceId}-${parentId}-01-x`, false],
  ["of version ff", `ff-${traceId}-${parentId}-01`, false],
  ["in upper case", `00-${traceId.toUpperCase()}-${parentId}-01`, false],
  ["with a trace id of zeros", `00-${"0".repeat(32)}-${parentId}-01`, false],
  ["with a parent id of zeros", `00-${traceId}-${"0".repeat(16)}-01`, false],
  ["with a short trace id", `00-${traceId.slice(1)}-${parentId}-01`, false],
  ["with a letter that is no digit", `00-${traceId.slice(1)}g-${parentId}-01`, false],
  ["without flags", `00-${traceId}-${parentId}`, false],
  ["with a line break", `00-${traceId}-${parentId}-01\n`, false],
  ["with blanks", ` 00-${traceId}-${parentId}-01`, false],
  ["empty", "", false],
];

describe("traceparent", () => {
  test.each(cases)("%s: %s", (_what, text, counts) => {
    const parsed = parseTraceParent(text);
    expect(parsed !== undefined).toBe(counts);
    if (parsed !== undefined) expect([parsed.traceId, parsed.parentId]).toEqual([traceId, parentId]);
  });

  test("is written in version 00, its flags in two digits", () => {
    expect(formatTraceParent({ traceId, parentId, flags: 1 })).toBe(`00-${traceId}-${parentId}-01`);
  });
});
