import { describe, it } from "vitest";
import { compareGenerated, equal, equalOrRefused, equalSaveLookAhead, seeds } from "../lanes/compare-generated.ts";
import { trusting, untrusting } from "../lanes/configurations.ts";
import { nearMissRequest, nearMissResponse, wellFormed } from "../lanes/generated-cases.ts";
import { LanePair } from "../lanes/lane-pair.ts";

/** Saved ones, and one of today; a failure names its own. */
const everySeed = seeds(...Array.from({ length: 3 }, (_, i) => 1000 + i), Math.floor(Date.now() / 86_400_000));

const runs = 200;

describe.each([
  ["a trusted caller", trusting],
  ["a stranger", untrusting],
] as const)("generated exchanges of %s", (_who, configure) => {
  const pair = LanePair.forSuite(configure);

  it.each(everySeed)("seed %i: well-formed ones get the same from both lanes", async (seed) => {
    await compareGenerated(pair(), wellFormed, equal, { seed, runs });
  });

  it.each(everySeed)("seed %i: nearly well-formed requests get the same from both lanes", async (seed) => {
    await compareGenerated(pair(), nearMissRequest, equalSaveLookAhead, { seed, runs });
  });

  it.each(everySeed)("seed %i: nearly well-formed responses get the same or a refusal", async (seed) => {
    await compareGenerated(pair(), nearMissResponse, equalOrRefused, { seed, runs });
  });
});
