import { describe, expect, test } from "vitest";
import { formatTraceParent, parseTraceParent } from "../../src/proxy/trace.ts";

const sampleTraceId = "0af7651916cd43dd8448eb211c80319c";
const sampleParentId = "b7ad6b7169203331";

/** What is sent, and whether it counts. */
const cases: readonly (readonly [string, string, boolean])[] = [
  ["sampled", `00-${sampleTraceId}-${sampleParentId}-01`, true],
  ["not sampled", `00-${sampleTraceId}-${sampleParentId}-00`, true],
  ["with flags of a later level", `00-${sampleTraceId}-${sampleParentId}-ff`, true],
  ["of a later version", `cc-${sampleTraceId}-${sampleParentId}-01`, true],
  ["of a later version that says more", `cc-${sampleTraceId}-${sampleParentId}-01-what-the-future-will-be`, true],
  ["of a later version that says more without a dash", `cc-${sampleTraceId}-${sampleParentId}-01.x`, false],
  ["of this version that says more", `00-${sampleTraceId}-${sampleParentId}-01-x`, false],
  ["of version ff", `ff-${sampleTraceId}-${sampleParentId}-01`, false],
  ["in upper case", `00-${sampleTraceId.toUpperCase()}-${sampleParentId}-01`, false],
  ["with a trace id of zeros", `00-${"0".repeat(32)}-${sampleParentId}-01`, false],
  ["with a parent id of zeros", `00-${sampleTraceId}-${"0".repeat(16)}-01`, false],
  ["with a short trace id", `00-${sampleTraceId.slice(1)}-${sampleParentId}-01`, false],
  ["with a letter that is no digit", `00-${sampleTraceId.slice(1)}g-${sampleParentId}-01`, false],
  ["without flags", `00-${sampleTraceId}-${sampleParentId}`, false],
  ["with a line break", `00-${sampleTraceId}-${sampleParentId}-01\n`, false],
  ["with blanks", ` 00-${sampleTraceId}-${sampleParentId}-01`, false],
  ["empty", "", false],
];

describe("traceparent", () => {
  test.each(cases)("%s: %s", (_what, text, counts) => {
    const parsed = parseTraceParent(text);
    expect(parsed !== undefined).toBe(counts);
    if (parsed !== undefined) expect([parsed.traceId, parsed.parentId]).toEqual([sampleTraceId, sampleParentId]);
  });

  test("is written in version 00, its flags in two digits", () => {
    expect(formatTraceParent({ traceId: sampleTraceId, parentId: sampleParentId, flags: 1 })).toBe(`00-${sampleTraceId}-${sampleParentId}-01`);
  });
});
