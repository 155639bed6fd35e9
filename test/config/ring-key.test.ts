import { describe, expect, test } from "vitest";
import { planned, rolloutOf } from "./rollout-config.ts";

/** The key of the first ring of a rollout with one step. */
function keyOf(when: string, text = planned(`{ when: ${when}, weight: 5, hold: 1m }`)): string {
  const [step] = rolloutOf(text).steps;
  if (step?.kind !== "weight" || step.ring === undefined) throw new Error("no ring");
  return step.ring.key;
}

describe("a ring's key", () => {
  test("is the same for ever: state files hold it", () => {
    expect(keyOf("{ userId: ada }")).toBe("userId-ada-5346c035");
    expect(keyOf("{ userId: [grace, ada], any: [{ staff: true }, { not: { orders: { atLeast: 3 } } }] }")).toBe(
      "not-orders-atLeast-3-or-staff-true-userI-a7b6569b",
    );
  });

  test.each([
    ["the order of entries", "{ userId: ada, staff: true }", "{ staff: true, userId: ada }"],
    ["the order of values", "{ userId: [ada, grace] }", "{ userId: [grace, ada] }"],
    [
      "the order of conditions",
      "{ any: [{ staff: true }, { userId: ada }] }",
      "{ any: [{ userId: ada }, { staff: true }] }",
    ],
    ["the form of an operand", "{ userId: ada }", "{ userId: { equals: ada } }"],
  ])("does not depend on %s", (_sentence, one, other) => {
    expect(keyOf(one)).toBe(keyOf(other));
  });

  test("does not depend on the place of the attribute", () => {
    const step = planned("{ when: { userId: ada }, weight: 5, hold: 1m }");
    const moved = step.replace(
      "attributes:\n",
      "attributes:\n  first: { type: string, from: [{ header: x-first }] }\n",
    );
    expect(keyOf("", moved)).toBe(keyOf("", step));
  });

  test("differs for different conditions, and is letters, digits, _ and - alone", () => {
    const conditions = [
      "{ userId: ada }",
      "{ userId: Ada }",
      "{ header: { userid: ada } }",
      "{ cookie: { userid: ada } }",
      "{ not: { userId: ada } }",
      "{ userId: 商店 }",
      "{ userId: 商 }",
      "{ userId: { regex: '^a.*$' } }",
      "{ percent: 5 }",
      "{ percent: 5, seed: a }",
      "{ any: [{ userId: ada }, { staff: true }] }",
      "{ all: [{ userId: ada }, { staff: true }] }",
      "{ peer: { cidr: 2001:db8::/32 } }",
      `{ userId: ${"long".repeat(50)} }`,
      `{ userId: ${"long".repeat(51)} }`,
    ];
    const keys = conditions.map((when) => keyOf(when));
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(key).toMatch(/^[A-Za-z0-9_-]{1,49}$/);
  });
});
