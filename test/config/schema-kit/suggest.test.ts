import { describe, expect, test } from "vitest";
import { editDistance, nearest } from "../../../src/config/schema-kit/suggest.ts";

describe("near misses", () => {
  test.each([
    ["", "", 0],
    ["weight", "weight", 0],
    ["wieght", "weight", 1],
    ["weigt", "weight", 1],
    ["weights", "weight", 1],
    ["kitten", "sitting", 3],
    ["abc", "", 3],
  ])("%s and %s are %i edits apart", (one, other, wanted) => {
    expect(editDistance(one, other)).toBe(wanted);
    expect(editDistance(other, one)).toBe(wanted);
  });

  test.each([
    ["the nearest wins", "canry", ["canary", "carry"], "canary"],
    ["letter case is free", "USERID", ["userId"], "userId"],
    ["short names may have one slip", "b", ["by"], "by"],
    ["but not two", "ab", ["by", "xy"], undefined],
    ["nothing is near", "colour", ["default", "versions"], undefined],
    ["nothing is known", "x", [], undefined],
    ["an overlong name is not compared", "x".repeat(65), ["x".repeat(64)], undefined],
  ] as const)("%s", (_sentence, name, candidates, wanted) => {
    expect(nearest(name, candidates)).toBe(wanted);
  });
});
