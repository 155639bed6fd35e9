import { afterAll, beforeAll, describe, it } from "vitest";
import { type Alike, compareGenerated, equal, equalOrRefused, equalSaveLookAhead } from "./compare-generated.ts";
import { strangers, trusting } from "./configurations.ts";
import { nearMissRequest, nearMissResponse, wellFormed } from "./generated-cases.ts";
import { LanePair } from "./lane-pair.ts";

/** Saved seeds: those that once found something stay. PERCH_LANES_SEED repeats one that a failure names. */
const seeds = process.env["PERCH_LANES_SEED"] === undefined ? [1, 20261123] : [Number(process.env["PERCH_LANES_SEED"])];

const corpora = [
  ["well-formed exchanges", wellFormed, equal, 100],
  ["requests that are nearly well-formed", nearMissRequest, equalSaveLookAhead, 150],
  ["responses that are nearly well-formed", nearMissResponse, equalOrRefused, 100],
] as const satisfies readonly (readonly [string, unknown, Alike, number])[];

describe.each([
  ["a trusted caller", trusting],
  ["a stranger", strangers],
] as const)("generated exchanges of %s", (_who, configure) => {
  let pair: LanePair;
  beforeAll(async () => {
    pair = await LanePair.start(configure);
  });
  afterAll(() => pair.stop());

  describe.each(seeds)("seed %i", (seed) => {
    it.each(corpora)(
      "%s get the same from both lanes",
      async (_what, cases, alike, runs) => {
        await compareGenerated(pair, cases, alike, { seed, runs: configure === trusting ? runs : runs / 5 });
      },
      60_000,
    );
  });
});
