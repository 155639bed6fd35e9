import { expect, it } from "vitest";
import { batchedUuids } from "../../src/app/random.ts";

/** RFC 9562 §5.4: the version is 4, the variant 0b10. */
const version4 = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

it("ids are unique random UUIDs across many batches", () => {
  const newId = batchedUuids();
  const ids = Array.from({ length: 10_000 }, newId);
  expect(ids.filter((id) => !version4.test(id))).toEqual([]);
  expect(new Set(ids).size).toBe(ids.length);
});

it("every digit except the fixed ones is uniformly distributed", () => {
  const newId = batchedUuids();
  const count = 8_192;
  const seen = Array.from({ length: 36 }, () => new Map<string, number>());
  for (let i = 0; i < count; i++) {
    for (const [at, digit] of Array.from(newId()).entries()) seen[at]?.set(digit, (seen[at].get(digit) ?? 0) + 1);
  }
  const values = seen.map((digits) => digits.size);
  const fixed = new Map([
    [8, 1],
    [13, 1],
    [14, 1],
    [18, 1],
    [19, 4],
    [23, 1],
  ]);
  expect(values).toEqual(values.map((_, at) => fixed.get(at) ?? 16));
  // Six standard deviations from a sixteenth of 8,192.
  const even = [...seen.entries()].filter(([at]) => !fixed.has(at)).flatMap(([, digits]) => [...digits.values()]);
  expect(even.filter((times) => Math.abs(times - count / 16) > 140)).toEqual([]);
});

it("two generators create different ids", () => {
  const [first, second] = [batchedUuids(), batchedUuids()];
  const ids = Array.from({ length: 500 }, () => [first(), second()]).flat();
  expect(new Set(ids).size).toBe(1_000);
});
