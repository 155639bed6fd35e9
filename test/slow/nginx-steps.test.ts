import { expect, test } from "vitest";
import { play, type Step } from "../../deploy/examples/nginx/play.ts";

test("deploy/examples/nginx: each step under load, without a failed request or an unexpected change of version", async () => {
  const steps: Step[] = [];
  await play((step) => steps.push(step));
  for (const { name, requests, newShare, changes } of steps) {
    console.info(
      `${name.padEnd(52)} ${requests} requests, ${(newShare * 100).toFixed(1)} % on 1.8.0, ${changes} changed`,
    );
  }
  expect(steps.flatMap(({ name, failures }) => failures.map((failure) => `${name}: ${failure}`))).toEqual([]);

  const at = (start: string): Step => {
    const found = steps.find(({ name }) => name.startsWith(start));
    if (found === undefined) throw new Error(`no step ${start}`);
    return found;
  };
  // Before Perch: each request may get another version.
  expect(at("start").changes).toBeGreaterThan(0);
  expect(at("4 ")).toMatchObject({ newShare: 0, ruledShare: 0 });
  expect(at("5 ")).toMatchObject({ newShare: 0, ruledShare: 1 });
  // Four standard deviations of a fair draw of 210 users.
  expect(Math.abs(at("6 ").newShare - 0.25)).toBeLessThan(0.12);
  expect(at("6 ").ruledShare).toBe(1);
  expect(at("rollback")).toMatchObject({ newShare: 0, ruledShare: 0 });
  // The draw of each user is the same as before.
  expect(at("once more").newShare).toBe(at("6 ").newShare);
  expect(Math.abs(at("7 ").newShare - 0.5)).toBeLessThan(0.14);
  expect(at("rollout restart").changes).toBe(0);
  expect(at("8 ")).toMatchObject({ newShare: 1, ruledShare: 1 });
  for (const step of ["9 ", "10 ", "11 "]) expect(at(step)).toMatchObject({ newShare: 1, ruledShare: 1, changes: 0 });
});
