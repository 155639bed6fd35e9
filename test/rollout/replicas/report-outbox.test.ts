import { expect, test } from "vitest";
import { bucketCount } from "../../../src/observe/rollout/duration-buckets.ts";
import { ReportOutbox } from "../../../src/rollout/replicas/report-outbox.ts";
import { reportOf } from "./replica-room.ts";

/** What the leader's admin server takes at once. */
const maxBytes = 4 * 1024 * 1024;

test.each([
  ["users", 50, () => reportOf(1_024, 0, { hi: -2_147_483_648, lo: -2_147_483_648, odds: 0.123_456_789_012_345_66 })],
  ["durations", 10_000, () => ({ ...reportOf(0), baselineDurations: new Array<number>(bucketCount).fill(12_345) })],
  ["counts alone", 10_000, () => reportOf(0)],
])("what waits for a leader fits into its messages, all of it and in order: reports with %s", (_, count, report) => {
  const outbox = new ReportOutbox();
  for (let at = 0; at < count; at++) outbox.add(report());
  let taken = outbox.dropped;
  let messages = 0;
  for (;;) {
    const reports = outbox.after(taken);
    if (reports.length === 0) break;
    messages++;
    expect(JSON.stringify(reports).length).toBeLessThan(maxBytes / 2);
    expect(reports.map(({ number }) => number)).toEqual(reports.map((_, at) => taken + 1 + at));
    taken += reports.length;
  }
  expect(taken).toBe(count);
  expect(messages).toBeLessThan(20);
});

test("what was saved is not there any more, also for a leader that does not know of it", () => {
  const outbox = new ReportOutbox();
  for (let at = 0; at < 5; at++) outbox.add(reportOf(1));
  expect([0, 4, 5].map((number) => outbox.hasMoreThan(number))).toEqual([true, true, false]);
  outbox.saved(5);
  expect(outbox.hasMoreThan(0)).toBe(false);
  expect(outbox.after(0)).toEqual([]);
  outbox.add(reportOf(1));
  expect(outbox.hasMoreThan(0)).toBe(true);
  expect(outbox.after(0).map(({ number }) => number)).toEqual([6]);
});
