import { canaryUnit, decideCases, eastToCanary, fromEast, hold, pinOfEast, stableUnit } from "./decision-case.ts";
import { cookie, nowSeconds, pinOf } from "./shop-release.ts";

const session = { cookie: { ...cookie, maxAgeMs: "session" as const } };
const tenYears = { cookie: { ...cookie, maxAgeMs: 3650 * 86_400_000 } };

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
    sentence: "a pin of a lower epoch loses its remembered rule",
    release: { rules: [eastToCanary] },
    request: { pin: pinOfEast({ epoch: 2 }) },
    wanted: { reason: "split", version: "stable", pin: { epoch: 3, how: "split", unit: stableUnit }, flipped: true },
  },
  {
    sentence: "a pin of a lower epoch is rewritten even if nothing else in it changes",
    request: { pin: pinOf({ epoch: 2, version: "stable", unit: stableUnit }) },
    wanted: { reason: "split", version: "stable", pin: { epoch: 3, version: "stable", unit: stableUnit } },
  },
  {
    sentence: "a pin of a higher epoch is valid: a newer replica wrote it",
    sticky: hold,
    request: { pin: pinOf({ epoch: 4, version: "stable", unit: canaryUnit }) },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
  {
    sentence: "a pin keeps its higher epoch when it is rewritten",
    request: { pin: pinOf({ epoch: 4, version: "stable", unit: canaryUnit }) },
    wanted: { reason: "split", version: "canary", pin: { epoch: 4, version: "canary" }, flipped: true },
  },
  {
    sentence: "a pin up to half its lifetime is not rewritten",
    request: { pin: pinOf({ unit: stableUnit, issuedAtSeconds: nowSeconds - 15 * 86_400 }) },
    wanted: { reason: "split", version: "stable", pin: "keeps" },
  },
  {
    sentence: "a pin past half its lifetime is renewed",
    request: { pin: pinOf({ unit: stableUnit, issuedAtSeconds: nowSeconds - 15 * 86_400 - 1 }) },
    wanted: {
      reason: "split",
      version: "stable",
      pin: { issuedAtSeconds: nowSeconds, version: "stable", unit: stableUnit },
    },
  },
  {
    sentence: "a pin for the browser's session is renewed after fifteen days: it is valid for thirty",
    sticky: session,
    request: { pin: pinOf({ unit: stableUnit, issuedAtSeconds: nowSeconds - 15 * 86_400 - 1 }) },
    wanted: { reason: "split", version: "stable", pin: { issuedAtSeconds: nowSeconds, unit: stableUnit } },
  },
  {
    sentence: "a younger pin for the browser's session is not rewritten",
    sticky: session,
    request: { pin: pinOf({ unit: stableUnit, issuedAtSeconds: nowSeconds - 15 * 86_400 }) },
    wanted: { reason: "split", version: "stable", pin: "keeps" },
  },
  {
    sentence: "a pin for longer than the 400 days that browsers keep it is renewed after 200",
    sticky: tenYears,
    request: { pin: pinOf({ unit: stableUnit, issuedAtSeconds: nowSeconds - 200 * 86_400 - 1 }) },
    wanted: { reason: "split", version: "stable", pin: { issuedAtSeconds: nowSeconds } },
  },
  {
    sentence: "a held pin past half its lifetime is renewed with the same content",
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
    sentence: "a pin of the same version that another step assigned is rewritten",
    release: { rules: [eastToCanary] },
    request: { ...fromEast, pin: pinOf({ version: "canary", unit: canaryUnit }) },
    wanted: { reason: "rule", rule: "east", version: "canary", pin: { version: "canary", how: "rule", rule: "east" } },
  },
  {
    sentence: "a pin that the default set is rewritten when the split assigns the same version",
    request: { pin: pinOf({ how: "default", unit: stableUnit }) },
    wanted: { reason: "split", version: "stable", pin: { version: "stable", how: "split" } },
  },
  {
    sentence: "a pin that another rule set is rewritten when a rule assigns the same version",
    release: { rules: [eastToCanary] },
    request: { ...fromEast, pin: pinOfEast({ rule: "gold" }) },
    wanted: { reason: "rule", rule: "east", version: "canary", pin: { how: "rule", rule: "east" } },
  },
  {
    sentence: "a pin issued by a clock that is ahead is not rewritten",
    request: { pin: pinOf({ unit: stableUnit, issuedAtSeconds: nowSeconds + 3600 }) },
    wanted: { reason: "split", version: "stable", pin: "keeps" },
  },
]);
