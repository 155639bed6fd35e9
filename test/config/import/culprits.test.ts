import { describe, expect, test } from "vitest";
import { culpritsIn } from "../../../src/config/import/culprits.ts";

/** A part that is bad alone is negative; two of one last digit do not go together. */
function search(all: readonly number[]) {
  let tries = 0;
  const found = culpritsIn(all, (some) => {
    tries++;
    const alone = some.find((one) => one < 0);
    if (alone !== undefined) return `${alone} is bad`;
    const digits = some.map((one) => one % 10);
    const at = digits.findIndex((digit, index) => digits.indexOf(digit) < index);
    return at < 0 ? undefined : `${some[at]} is there already`;
  });
  return { found: [...found], tries };
}

describe("what a configuration does not load with", () => {
  const cases: readonly [sentence: string, all: readonly number[], found: readonly (readonly [number, string])[]][] = [
    ["nothing", [1, 2, 3], []],
    ["nothing of nothing", [], []],
    ["one that is bad alone", [1, -2, 3, 4], [[-2, "-2 is bad"]]],
    ["the later of two that conflict", [1, 2, 3, 12, 4], [[12, "12 is there already"]]],
    [
      "all but the first of several that conflict",
      [22, 2, 12, 3],
      [
        [2, "2 is there already"],
        [12, "12 is there already"],
      ],
    ],
    [
      "some alone, and some beside others",
      [-1, 5, 6, 15, -2, 16, 7],
      [
        [-1, "-1 is bad"],
        [-2, "-2 is bad"],
        [15, "15 is there already"],
        [16, "16 is there already"],
      ],
    ],
  ];
  test.each(cases)("%s", (_sentence, all, found) => {
    expect(search(all).found).toEqual(found);
  });

  test("one conflict among a thousand takes a few tries", () => {
    const all = Array.from({ length: 1_000 }, (_, at) => at);
    let tries = 0;
    const found = culpritsIn(all, (some) => {
      tries++;
      return some.includes(3) && some.includes(700) ? "conflict" : undefined;
    });
    expect([...found]).toEqual([[700, "conflict"]]);
    expect(tries).toBeLessThan(40);
  });
});
