import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { refusedOrigin } from "../kit/upstream.ts";
import { Lane, type LaneConfig, type LaneRun, type Origins } from "./lane.ts";
import type { LaneCase } from "./lane-case.ts";

/** Log fields of a refused upload that are a race, or depend on how much the lane had read. */
const refusedUpload = /"(?:status|error|cause|bytesReceived|upstream|attempts)":[^,]+,/g;

/** Two complete instances of Perch that differ in `fastLane` only. */
export class LanePair {
  readonly #on: Lane;
  readonly #off: Lane;
  readonly #folder: string;
  readonly #cases: LaneCase[] = [];
  #stopped = false;

  private constructor(on: Lane, off: Lane, folder: string) {
    this.#on = on;
    this.#off = off;
    this.#folder = folder;
  }

  static async start(configure: (origins: Origins, folder: string) => LaneConfig): Promise<LanePair> {
    const folder = await mkdtemp(join(tmpdir(), "perch-lanes-"));
    const start = async (fastLane: "on" | "off") =>
      Lane.start(
        fastLane,
        (origins) => configure(origins, folder),
        join(folder, `${fastLane}.log`),
        await refusedOrigin(),
      );
    return new LanePair(await start("on"), await start("off"), folder);
  }

  /** The pair of a suite, started before its tests and stopped after them. */
  static forSuite(configure: (origins: Origins, folder: string) => LaneConfig): () => LanePair {
    let pair: LanePair | undefined;
    beforeAll(async () => {
      pair = await LanePair.start(configure);
    });
    afterAll(() => pair?.stop());
    return () => {
      if (pair === undefined) throw new Error("the lanes did not start");
      return pair;
    };
  }

  /** Sends a case through both lanes; fails where they differ, or where either sends what is not strict HTTP. */
  async compare(laneCase: LaneCase): Promise<LaneRun> {
    const { on, off } = await this.run(laneCase);
    const told = report(laneCase, on, off);
    expect(on.view, told).toBe(off.view);
    expect(on.metrics, told).toBe(off.metrics);
    expect(on.overdue, told).toEqual(off.overdue);
    expect(off.view, told).not.toContain("PROBLEM");
    if (laneCase.regular === true) expect(on.handOvers, told).toBe(0);
    return off;
  }

  async run(laneCase: LaneCase, counting: "counted" | "uncounted" = "counted"): Promise<{ on: LaneRun; off: LaneRun }> {
    const index = this.#cases.push(laneCase) - 1;
    const [on, off] = await Promise.all([
      this.#on.run(laneCase, index, counting),
      this.#off.run(laneCase, index, counting),
    ]);
    return { on, off };
  }

  /**
   * Sends many cases through both lanes; reports of those that differ. Of metrics only handovers of regular cases
   * count.
   */
  async differing(cases: readonly LaneCase[]): Promise<Map<string, string>> {
    const differing = new Map<string, string>();
    for (const laneCase of cases) {
      const { on, off } = await this.run(laneCase, laneCase.regular === true ? "counted" : "uncounted");
      const left = on.handOvers > 0;
      if (left || on.view !== off.view || on.overdue.length !== off.overdue.length || on.view.includes("PROBLEM")) {
        differing.set(laneCase.name, report(laneCase, on, off));
      }
    }
    return differing;
  }

  /** Stops both lanes, which completes their logs, and compares these case by case. */
  async compareLogs(): Promise<void> {
    this.#stopped = true;
    const [on, off] = await Promise.all([this.#on.stop(), this.#off.stop()]);
    await rm(this.#folder, { recursive: true });
    const named = (logs: ReadonlyMap<number, string>) =>
      this.#cases.map(({ name, lingers }, index) => {
        const lines = logs.get(index) ?? "no line\n";
        return `${name}\n${lingers === true ? lines.replace(refusedUpload, "") : lines}`;
      });
    const [inFast, inStandard] = [named(on), named(off)];
    const differing = this.#cases.flatMap(({ differs }, index) =>
      differs === undefined && inFast[index] !== inStandard[index] ? [index] : [],
    );
    expect(differing.map((index) => inFast[index])).toEqual(differing.map((index) => inStandard[index]));
  }

  async stop(): Promise<void> {
    if (!this.#stopped) await Promise.all([this.#on.stop(), this.#off.stop()]);
  }
}

/** A case and both lanes' views of it, for a failure. */
export function report(laneCase: LaneCase, on: LaneRun, off: LaneRun): string {
  const { name, ...script } = laneCase;
  const shown = (lane: string, { view, metrics, overdue }: LaneRun) =>
    `--- ${lane}\n${view}\n${metrics}\n${overdue.map((step) => `timed out: ${step}\n`).join("")}`;
  return `=== ${name}\n${JSON.stringify(script)}\n${shown("fast lane", on)}\n${shown("standard lane", off)}`;
}
