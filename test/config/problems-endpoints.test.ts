import { describe, expect, test } from "vitest";
import { changed, load, problemsOf } from "./valid-config.ts";

/** What is wrong, the thing replaced, its replacement, and every problem that is then told. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  [
    "a balance that there is none of",
    "    timeouts:",
    "    balance: round_robin\n    timeouts:",
    [
      '18:14: error: expected p2c, round-robin, least-in-flight or hash, found "round_robin"; did you mean "round-robin"?',
    ],
  ],
];

describe("endpoints", () => {
  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    expect(problemsOf(load(changed(find, replacement)))).toEqual(wanted);
  });
});
