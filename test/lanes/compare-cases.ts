import { afterAll, beforeAll, describe, it } from "vitest";
import type { LaneConfig, Origins } from "./lane.ts";
import type { LaneCase } from "./lane-case.ts";
import { LanePair } from "./lane-pair.ts";

/** A test for each case through one pair of lanes, and one for what both wrote to their access logs. */
export function compareCases(
  title: string,
  configure: (origins: Origins, folder: string) => LaneConfig,
  cases: readonly LaneCase[],
): void {
  describe(title, () => {
    let pair: LanePair | undefined;
    const started = () => pair ?? failed();
    beforeAll(async () => {
      pair = await LanePair.start(configure);
    });
    afterAll(() => pair?.stop());
    for (const laneCase of cases) {
      const test = laneCase.differs === undefined ? it : it.fails;
      test(laneCase.name, async () => {
        await started().compare(laneCase);
      });
    }
    it("is logged alike", () => started().compareLogs());
  });
}

function failed(): never {
  throw new Error("the lanes did not start");
}
