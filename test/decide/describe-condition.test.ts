import { expect, it } from "vitest";
import { type Condition, describeCondition } from "../../src/decide/condition.ts";
import { describeUse, type RuleSpec, useRollout } from "../../src/decide/release-spec.ts";

const region: Condition = {
  kind: "test",
  subject: { kind: "attribute", index: 0, name: "region" },
  test: { op: "in", values: ["cn-east", "cn-south"] },
};
const beta: Condition = {
  kind: "test",
  subject: { kind: "header", name: "x-beta" },
  test: { op: "exists", wanted: true },
};
const some: Condition = { kind: "percent", percent: 2.5, seed: "spring" };

it.each<{ sentence: string; condition: Condition; wanted: string }>([
  { sentence: "a test", condition: region, wanted: 'region one of "cn-east", "cn-south"' },
  { sentence: "a percentage", condition: some, wanted: "2.5 % of units" },
  { sentence: "one of one", condition: { kind: "all", of: [beta] }, wanted: "header x-beta present" },
  {
    sentence: "a nesting, unambiguous",
    condition: { kind: "all", of: [some, { kind: "any", of: [beta, { kind: "not", of: region }] }] },
    wanted: '2.5 % of units and (header x-beta present or not (region one of "cn-east", "cn-south"))',
  },
])("a condition reads as people would say it: $sentence", ({ condition, wanted }) => {
  expect(describeCondition(condition)).toBe(wanted);
});

it.each<{ use: RuleSpec["use"]; wanted: string }>([
  { use: "canary", wanted: "canary" },
  { use: useRollout, wanted: "rollout" },
  { use: { stable: 90, canary: 10 }, wanted: "{ stable: 90, canary: 10 }" },
])("what a rule gives reads $wanted", ({ use, wanted }) => {
  expect(describeUse(use)).toBe(wanted);
});
