import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readSavedState } from "../../src/rollout/state/saved-state.ts";
import { rolloutEvent, rolloutState, savedState } from "./saved-states.ts";

const with_ = (change: object) => JSON.stringify({ ...savedState, ...change });

describe("a saved state", () => {
  it("is read as it was written", () => {
    expect(readSavedState(JSON.stringify(savedState))).toEqual({ kind: "read", saved: savedState });
  });

  it("is read where a rollout has not started, and a step has not ended", () => {
    const track = [{ step: 0, startedAtMs: 0, endedAtMs: undefined, heldMs: 0 }];
    const text = with_({ rollouts: [{ ...rolloutState, startedAtMs: undefined, track }] });
    expect(readSavedState(text).kind).toBe("read");
  });

  it("is read where a rollout ended before its first step", () => {
    expect(readSavedState(with_({ rollouts: [{ ...rolloutState, step: -1, planned: [], track: [] }] })).kind).toBe(
      "read",
    );
  });

  const unusable: readonly [sentence: string, text: string, why: string][] = [
    ["an empty file", "", "it is empty"],
    ["zeros, as a crash of the system leaves them", "\0\0\0\0", "it is not complete JSON"],
    ["another program's JSON", '{"name":"x"}', "another program wrote it"],
    ["a list", "[]", "another program wrote it"],
    ["a newer state", with_({ version: 2 }), "a newer Perch wrote it (version 2; this one reads 1)"],
    ["a state without a version", with_({ version: undefined }), "it has no version that this Perch reads (1)"],
    ["a negative revision", with_({ revision: -1 }), "its `revision` is not in the form that Perch writes"],
    [
      "an unknown phase",
      with_({ rollouts: [{ ...rolloutState, phase: "x" }] }),
      "its `rollouts` is not in the form that Perch writes",
    ],
    ...[{ step: -2 }, { step: 2 }, { weight: -5 }, { weight: 101 }, { rings: [{ key: "a", weight: 200 }] }].map(
      (change): [string, string, string] => [
        `a rollout that stands nowhere in its plan: ${JSON.stringify(change)}`,
        with_({ rollouts: [{ ...rolloutState, ...change }] }),
        "its `rollouts` is not in the form that Perch writes",
      ],
    ),
    [
      "an event without a time",
      with_({ events: [{ ...rolloutEvent, atMs: null }] }),
      "its `events` is not in the form that Perch writes",
    ],
    [
      "a split of texts",
      with_({ splits: [{ ...savedState.splits[0], split: { a: "1" } }] }),
      "its `splits` is not in the form that Perch writes",
    ],
  ];
  it.each(unusable)("is not %s", (_sentence, text, why) => {
    expect(readSavedState(text)).toEqual({ kind: "unusable", why, remedy: expect.stringMatching(/\.$/) });
  });

  it("is never read from a part of one", () => {
    const text = JSON.stringify(savedState);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: text.length - 1 }), (length) => {
        expect(readSavedState(text.slice(0, length)).kind).toBe("unusable");
      }),
      { seed: 14 },
    );
  });
});
