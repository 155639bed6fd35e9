import { canaryUnit, decideCases, eastToCanary, fromEast, hold, pinOfEast, stableUnit } from "./decision-case.ts";
import { nowSeconds, pinOf } from "./shop-release.ts";

decideCases("epochs and renewal", [
  {
    sentence: "a pin of a lower epoch loses its version and keeps its unit",
    sticky: hold,
    request: { pin: pinOf({ epoch: 2, version: "stable", unit: canaryUnit }) },
    wanted: {
      reason: "split",
      version: "canary",
      pin: { epoch: 3, version: "canary", unit: canaryUnit },
      flipped: true,
    },
  },
  {
    sentence: "a pin of a lower epoch loses the memory of its rule",
    release: { rules: [eastToCanary] },
    request: { pin: pinOfEast({ epoch: 2 }) },
    wanted: { reason: "split", version: "stable", pin: { epoch: 3, how: "split", unit: stableUnit }, flipped: true },
  },
  {
    sentence: "a pin of a lower epoch is written anew even if nothing else in it changes",
    request: { pin: pinOf({ epoch: 2, version: "stable", unit: stableUnit }) },
    wanted: { reason: "split", version: "stable", pin: { epoch: 3, version: "stable", unit: stableUnit } },
  },
  {
    sentence: "a pin of a higher epoch is honoured: a newer replica made it",
    sticky: hold,
    request: { pin: pinOf({ epoch: 4, version: "stable", unit: canaryUnit }) },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "a pin of a higher epoch keeps it when it is written anew",
    request: { pin: pinOf({ epoch: 4, version: "stable", unit: canaryUnit }) },
    wanted: { reason: "split", version: "canary", pin: { epoch: 4, version: "canary" }, flipped: true },
  },
  {
    sentence: "a pin up to half its life is left alone",
    request: { pin: pinOf({ unit: stableUnit, issuedAtSeconds: nowSeconds - 15 * 86_400 }) },
    wanted: { reason: "split", version: "stable", pin: "keeps" },
  },
  {
    sentence: "a pin past half its life is written anew",
    request: { pin: pinOf({ unit: stableUnit, issuedAtSeconds: nowSeconds - 15 * 86_400 - 1 }) },
    wanted: {
      reason: "split",
      version: "stable",
      pin: { issuedAtSeconds: nowSeconds, version: "stable", unit: stableUnit },
    },
  },
  {
    sentence: "a held pin past half its life is written anew as it was",
    sticky: hold,
    release: { rules: [eastToCanary] },
    request: { pin: pinOfEast({ issuedAtSeconds: nowSeconds - 20 * 86_400 }) },
    wanted: {
      reason: "pin",
      rule: "east",
      version: "canary",
      pin: { how: "rule", rule: "east", issuedAtSeconds: nowSeconds },
    },
  },
  {
    sentence: "a pin whose version is right but was assigned otherwise is written anew",
    release: { rules: [eastToCanary] },
    request: { ...fromEast, pin: pinOf({ version: "canary", unit: canaryUnit }) },
    wanted: { reason: "rule", rule: "east", version: "canary", pin: { version: "canary", how: "rule", rule: "east" } },
  },
  {
    sentence: "a pin that the default set is written anew when the split assigns the same version",
    request: { pin: pinOf({ how: "default", unit: stableUnit }) },
    wanted: { reason: "split", version: "stable", pin: { version: "stable", how: "split" } },
  },
  {
    sentence: "a pin that another rule set is written anew when a rule assigns the same version",
    release: { rules: [eastToCanary] },
    request: { ...fromEast, pin: pinOfEast({ rule: "gold" }) },
    wanted: { reason: "rule", rule: "east", version: "canary", pin: { how: "rule", rule: "east" } },
  },
  {
    sentence: "a pin from a clock ahead of ours is left alone",
    request: { pin: pinOf({ unit: stableUnit, issuedAtSeconds: nowSeconds + 3600 }) },
    wanted: { reason: "split", version: "stable", pin: "keeps" },
  },
]);
