import { parseAddress } from "../../src/decide/ip-address.ts";
import { attributeUnit } from "../../src/decide/unit.ts";
import { ann, annsUnit, bobsUnit, canaryUnit, decideCases, half, hold, newUnit, stableUnit } from "./decision-case.ts";
import { pinOf } from "./shop-release.ts";

decideCases("the unit", [
  {
    sentence: "without the attribute and without a pin the unit is random",
    request: {},
    wanted: { reason: "split", version: "stable", pin: { unit: newUnit } },
  },
  {
    sentence: "without `by` attributes do not determine the unit",
    sticky: { by: undefined },
    request: { attributes: { userId: ann } },
    wanted: { reason: "split", version: "stable", pin: { unit: newUnit } },
  },
  {
    sentence: "without the attribute the pin's unit is drawn",
    request: { pin: pinOf({ version: "canary", unit: canaryUnit }) },
    wanted: { reason: "split", version: "canary", pin: "keeps" },
  },
  {
    sentence: "the client address can determine the unit",
    sticky: { by: { kind: "clientAddress" } },
    release: { split: { stable: 1 } },
    request: { clientAddress: parseAddress("192.0.2.7") },
    wanted: { reason: "split", version: "stable", pin: { unit: attributeUnit("192.0.2.7") } },
  },
  {
    sentence: "login: the attribute's unit is used and written to the pin",
    request: { attributes: { userId: ann }, pin: pinOf({ version: "canary", unit: canaryUnit }) },
    wanted: { reason: "split", version: "canary", pin: { version: "canary", unit: annsUnit } },
  },
  {
    sentence: "login under follow: the attribute's unit is drawn, possibly to another version",
    request: { attributes: { userId: ann }, pin: pinOf({ unit: stableUnit }) },
    wanted: { reason: "split", version: "canary", pin: { version: "canary", unit: annsUnit }, flipped: true },
  },
  {
    sentence: "login under hold: the version stays, the unit becomes the attribute's",
    sticky: hold,
    request: { attributes: { userId: ann }, pin: pinOf({ unit: stableUnit }) },
    wanted: { reason: "pin", version: "stable", pin: { version: "stable", how: "split", unit: annsUnit } },
  },
  {
    sentence: "logout under follow: the pin keeps the user's unit",
    request: { pin: pinOf({ version: "canary", unit: annsUnit }) },
    wanted: { reason: "split", version: "canary", pin: "keeps" },
  },
  {
    sentence: "logout under hold: version and unit stay",
    sticky: hold,
    request: { pin: pinOf({ version: "v3", unit: annsUnit }) },
    release: { split: { ...half, v3: 1 } },
    wanted: { reason: "pin", version: "v3", pin: "keeps" },
  },
  {
    sentence: "another requester under hold: the version does not stay, and it is not a flip",
    sticky: hold,
    request: { attributes: { userId: ann }, pin: pinOf({ unit: bobsUnit }) },
    wanted: { reason: "split", version: "canary", pin: { version: "canary", unit: annsUnit } },
  },
  {
    sentence: "the same requester under hold keeps a version that the draw would not give",
    sticky: hold,
    request: { attributes: { userId: ann }, pin: pinOf({ unit: annsUnit }) },
    wanted: { reason: "pin", version: "stable", pin: "keeps" },
  },
]);
