import { expect, test } from "vitest";
import { LogLines } from "../../src/dashboard/store/log-lines.ts";

const line = (id: number, second: number) => ({
  ...({
    id,
    at: `2026-01-01T00:00:0${second}.000Z`,
    kind: "endpoint",
    type: "refused",
    level: "warn",
    text: "",
  } as const),
  ...{ release: null, by: null, detail: null, step: null, weight: null, phase: null },
});
const idsOf = (lines: LogLines) => lines.all.value.map(({ id }) => id);

test("a line that is told late stands where it happened, and none is told twice", () => {
  const lines = new LogLines();
  for (const each of [line(1, 1), line(2, 5), line(3, 3), line(4, 5), line(4, 5), line(3, 3)]) lines.add(each);
  expect(idsOf(lines)).toEqual([4, 2, 3, 1]);
  lines.clear();
  lines.add(line(1, 7));
  expect(idsOf(lines)).toEqual([1]);
});
