/** @module-tag slow */
import { describe, it } from "vitest";
import { type Alike, compareGenerated, equal, equalOrRefused, equalSaveLookAhead, seeds } from "./compare-generated.ts";
import { trusting, untrusting } from "./configurations.ts";
import { nearMissRequest, nearMissResponse, wellFormed } from "./generated-cases.ts";
import { LanePair } from "./lane-pair.ts";

const corpora = [
  ["well-formed exchanges", wellFormed, equal, 25],
  ["requests that are nearly well-formed", nearMissRequest, equalSaveLookAhead, 40],
  ["responses that are nearly well-formed", nearMissResponse, equalOrRefused, 25],
] as const satisfies readonly (readonly [string, unknown, Alike, number])[];

describe.each([
  ["a trusted caller", trusting],
  ["a stranger", untrusting],
] as const)("generated exchanges of %s", (_who, configure) => {
  const pair = LanePair.forSuite(configure);

  describe.each(seeds(1, 4, 10, 20, 20261123))("seed %i", (seed) => {
    it.each(corpora)(
      "%s get the same from both lanes",
      async (_what, cases, alike, runs) => {
        await compareGenerated(pair(), cases, alike, { seed, runs: configure === trusting ? runs : runs / 5 });
      },
      60_000,
    );
  });
});
