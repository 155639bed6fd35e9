import { expect, it } from "vitest";
import { planReleases } from "../../src/plan/release-plan.ts";
import { load, shopYaml } from "./configs.ts";

const withList = (list: string, when = `{ userId: { inFile: ${list} } }`) =>
  shopYaml(`rules: [{ name: vips, when: ${when}, use: canary }], split: { stable: 1 }`);

it.each<{ sentence: string; before: string; after: string; notes: readonly string[] }>([
  {
    sentence: "that nothing changes if only comments and order differ",
    before: "a\nb",
    after: "# VIPs\nb\n a",
    notes: [],
  },
  {
    sentence: "how many values it gains and loses",
    before: "a\nb",
    after: "b\nc\nd",
    notes: ["rule vips: the list /users.txt gains 2 values and loses 1 value; the set of matching users may change"],
  },
  {
    sentence: "that it is emptied",
    before: "a\nb",
    after: "",
    notes: ["rule vips: the list /users.txt loses 2 values; the set of matching users may change"],
  },
])("a plan reports of a list $sentence", ({ before, after, notes }) => {
  const plan = planned(
    load(withList("users.txt"), { "users.txt": before }),
    load(withList("users.txt"), { "users.txt": after }),
  );
  expect(plan?.notes).toEqual(notes);
  expect(plan?.change).toBe(notes.length === 0 ? "unchanged" : "changed");
});

it("a plan compares lists by their contents, regardless of the file's path and the depth of the test", () => {
  const files = { "one.txt": "a\nb", "two.txt": "a\nb", "three.txt": "a" };
  const nested = (list: string) =>
    withList(list, `{ any: [{ not: { userId: { inFile: ${list} } } }, { percent: 5 }] }`);
  const notes = (list: string) => planned(load(nested("one.txt"), files), load(nested(list), files))?.notes;
  expect(notes("two.txt")).toEqual([]);
  expect(notes("three.txt")).toEqual([
    "rule vips: the list /three.txt loses 1 value; the set of matching users may change",
  ]);
});

function planned(before: ReturnType<typeof load>, after: ReturnType<typeof load>) {
  return planReleases(before.compiled, after.compiled, 10)[0];
}
