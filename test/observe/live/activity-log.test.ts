import { expect, it } from "vitest";
import { ActivityLog } from "../../../src/observe/live/activity-log.ts";

const told = (text: string) => ({ kind: "config", type: "reloaded", level: "info", text }) as const;

it("the log has the newest entries, in order, with ids that rise for ever", () => {
  const log = new ActivityLog(() => 7);
  for (let entry = 1; entry <= 600; entry++) log.add(told(`entry ${entry}`));
  expect(log.after(0).length).toBe(500);
  expect(log.after(0)[0]?.id).toBe(101);
  expect(log.after(599)).toEqual([
    {
      ...told("entry 600"),
      id: 600,
      atMs: 7,
      release: null,
      by: null,
      detail: null,
      step: null,
      weight: null,
      phase: null,
    },
  ]);
});

it("an entry may be of another time", () => {
  const log = new ActivityLog(() => 7);
  log.add({ ...told("of another time"), atMs: 3 });
  log.add(told("of now"));
  expect(log.after(0).map(({ atMs }) => atMs)).toEqual([3, 7]);
});
