import {
  ann,
  annsUnit,
  bob,
  bobsUnit,
  decideCases,
  east,
  eastToCanary,
  eastWeighted,
  fromEast,
  goldToV3,
  half,
} from "./decision-case.ts";
import { pinOf, userDrawnTo } from "./shop-release.ts";

decideCases("the order of steps", [
  {
    sentence: "an override outranks a propagated version, rules, the pin and the split, and writes no pin",
    release: { rules: [eastToCanary] },
    request: { ...fromEast, override: "v3", propagated: "canary", pin: pinOf() },
    wanted: { reason: "override", version: "v3", pin: "keeps" },
  },
  {
    sentence: "an override of a version that the release does not have is ignored",
    request: { attributes: { userId: ann }, override: "v9" },
    wanted: { reason: "split", version: "canary", pin: { version: "canary", how: "split", unit: annsUnit } },
  },
  {
    sentence: "a propagated version outranks rules, the pin and the split, and writes no pin",
    release: { rules: [eastToCanary] },
    request: { ...fromEast, propagated: "v3", pin: pinOf() },
    wanted: { reason: "propagated", version: "v3", pin: "keeps" },
  },
  {
    sentence: "a propagated version is used even if the release lacks it: other services in the chain may have it",
    request: { attributes: { userId: bob }, propagated: "v9" },
    wanted: { reason: "propagated", version: "v9", pin: "keeps" },
  },
  {
    sentence: "a rule that matches outranks the split",
    release: { rules: [eastToCanary] },
    request: { attributes: { userId: bob, region: "east" } },
    wanted: { reason: "rule", rule: "east", version: "canary", pin: { version: "canary", how: "rule", rule: "east" } },
  },
  {
    sentence: "of two matching rules the first decides",
    release: { rules: [goldToV3, eastToCanary] },
    request: { attributes: { region: "east", plan: "gold" } },
    wanted: { reason: "rule", rule: "gold", version: "v3", pin: { version: "v3", how: "rule", rule: "gold" } },
  },
  {
    sentence: "a rule with weights draws by them",
    release: { rules: [eastWeighted] },
    request: { attributes: { userId: userDrawnTo("v3", { canary: 50, v3: 50 }), region: "east" } },
    wanted: { reason: "rule", rule: "east", version: "v3", pin: { version: "v3", how: "rule", rule: "east" } },
  },
  {
    sentence: "no rule matches, so the split draws",
    release: { rules: [eastToCanary] },
    request: { attributes: { userId: ann, region: "west" } },
    wanted: { reason: "split", version: "canary", pin: { version: "canary", how: "split", unit: annsUnit } },
  },
  {
    sentence: "the split draws another user to another version",
    request: { attributes: { userId: bob } },
    wanted: { reason: "split", version: "stable", pin: { version: "stable", how: "split", unit: bobsUnit } },
  },
  {
    sentence: "without a split the service's default is used",
    release: { split: undefined },
    request: { attributes: { userId: ann }, defaultVersion: "v3" },
    wanted: { reason: "default", version: "v3", pin: { version: "v3", how: "default", unit: annsUnit } },
  },
  {
    sentence: "a version with weight zero gets no users",
    release: { split: { stable: 0, canary: 100 } },
    request: { attributes: { userId: bob } },
    wanted: { reason: "split", version: "canary", pin: { version: "canary" } },
  },
  {
    sentence: "another salt changes the draw",
    sticky: { salt: "2026-06" },
    request: { attributes: { userId: userDrawnTo("stable", half, "2026-06") } },
    wanted: { reason: "split", version: "stable", pin: { version: "stable" } },
  },
  {
    sentence: "an attribute that is absent makes a rule's test false",
    release: { rules: [eastToCanary] },
    request: { attributes: { userId: bob } },
    wanted: { reason: "split", version: "stable", pin: { version: "stable" } },
  },
  {
    sentence: "`not` is true if the attribute is absent",
    release: { rules: [{ name: "not-east", when: { kind: "not", of: east }, use: "canary" }] },
    request: { attributes: { userId: bob } },
    wanted: { reason: "rule", rule: "not-east", version: "canary", pin: { version: "canary" } },
  },
  {
    sentence: "`percent: 100` matches every unit, and `percent: 0` none",
    release: {
      rules: [
        { name: "none", when: { kind: "percent", percent: 0, seed: undefined }, use: "v3" },
        { name: "everyone", when: { kind: "percent", percent: 100, seed: undefined }, use: "canary" },
      ],
    },
    request: { attributes: { userId: bob } },
    wanted: { reason: "rule", rule: "everyone", version: "canary", pin: { version: "canary" } },
  },
]);
