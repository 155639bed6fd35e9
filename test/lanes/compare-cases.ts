import { describe, expect, it } from "vitest";
import { knownDifferences } from "./known-differences.ts";
import type { LaneConfig, Origins } from "./lane.ts";
import type { LaneCase } from "./lane-case.ts";
import { LanePair } from "./lane-pair.ts";

/** Cases that differ in the access log only: they pass, and their lines are not compared. */
const loggedApart: ReadonlySet<string> = new Set(["upstreams that break, stop or hurry: nobody listens, POST"]);

/** A test for each case through one pair of lanes, and one that compares their access logs. */
export function compareCases(title: string, configure: Configure, cases: readonly LaneCase[]): void {
  describe(title, () => {
    const started = LanePair.forSuite(configure);
    for (const laneCase of cases) {
      const key = `${title}: ${laneCase.name}`;
      const differs = knownDifferences.get(key);
      const test = differs === undefined || loggedApart.has(key) ? it : it.fails;
      test(laneCase.name, async () => {
        await started().compare(differs === undefined ? laneCase : { ...laneCase, differs });
      });
    }
    it("has the cases that are known to differ", () => {
      const names = new Set(cases.map(({ name }) => `${title}: ${name}`));
      const known = [...knownDifferences.keys()].filter((key) => key.startsWith(`${title}: `));
      expect(known.filter((key) => !names.has(key))).toEqual([]);
    });
    it("is logged alike", () => started().compareLogs());
  });
}

/**
 * The same for cases that wait for a timeout: each has its own pair of lanes, so that they wait concurrently. Their
 * logs are not compared.
 */
export function compareCasesAtOnce(title: string, configure: Configure, cases: readonly LaneCase[]): void {
  describe.concurrent(title, { tags: ["slow"] }, () => {
    for (const laneCase of cases) {
      const test = knownDifferences.has(`${title}: ${laneCase.name}`) ? it.concurrent.fails : it.concurrent;
      test(laneCase.name, async () => {
        const pair = await LanePair.start(configure);
        try {
          await pair.compare(laneCase);
        } finally {
          await pair.stop();
        }
      });
    }
  });
}

type Configure = (origins: Origins, folder: string) => LaneConfig;
