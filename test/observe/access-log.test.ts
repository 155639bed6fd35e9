import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AccessLog } from "../../src/observe/access-log.ts";
import { LogDestination } from "../../src/observe/log-destination.ts";
import { Observer } from "../../src/observe/observer.ts";
import { RequestCells } from "../../src/observe/request-stats.ts";
import { fineOutcome } from "./outcome.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "perch-log-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const openLog = (sample: number) => {
  const to = join(directory, "access.log");
  const destination = new LogDestination({
    to,
    dropped: { value: 0 },
    onTrouble: (error) => {
      throw error;
    },
  });
  const log = new AccessLog({ destination, sample, nowMs: () => 0 });
  const logRange = (from: number, until: number) => {
    for (let index = from; index < until; index++) log.log({ ...fineOutcome, requestId: String(index) });
  };
  const close = async (): Promise<readonly number[]> => {
    await log.close();
    const lines = readFileSync(to, "utf8").split("\n").slice(0, -1);
    return lines.map((line) => Number(JSON.parse(line).requestId));
  };
  return { log, logRange, close };
};

describe("sampling", () => {
  test.each([
    { about: "all", sample: 1, requests: 5, wanted: [0, 1, 2, 3, 4] },
    { about: "none", sample: 0, requests: 5, wanted: [] },
    { about: "every fourth", sample: 0.25, requests: 12, wanted: [0, 4, 8] },
    {
      about: "every tenth, though ten times 0.1 falls short of 1",
      sample: 0.1,
      requests: 50,
      wanted: [0, 10, 20, 30, 40],
    },
    { about: "three of four", sample: 0.75, requests: 8, wanted: [0, 2, 3, 4, 6, 7] },
    { about: "all, of a share above one", sample: 7, requests: 3, wanted: [0, 1, 2] },
    { about: "none, of a share below zero", sample: -1, requests: 3, wanted: [] },
  ])("logs $about", async ({ sample, requests, wanted }) => {
    const { logRange, close } = openLog(sample);
    logRange(0, requests);
    expect(await close()).toEqual(wanted);
  });

  test("does not drift: a thousandth of a hundred thousand is a hundred", async () => {
    const { logRange, close } = openLog(0.001);
    logRange(0, 100_000);
    expect((await close()).length).toBe(100);
  });

  test("follows a reload", async () => {
    const { log, logRange, close } = openLog(0);
    logRange(0, 3);
    log.sample = 0.5;
    logRange(3, 6);
    log.sample = 0.5;
    logRange(6, 7);
    log.sample = 0;
    logRange(7, 9);
    log.sample = 1;
    logRange(9, 11);
    expect(await close()).toEqual([3, 5, 9, 10]);
  });
});

describe("observe", () => {
  test("counts, times and logs a request", async () => {
    const { log, close } = openLog(1);
    const cells = new RequestCells("shop-api", "shop", "stable");
    const observer = new Observer(log);
    observer.observe({ ...fineOutcome, requestId: "1", durationMs: 1500 }, cells);
    observer.observe({ ...fineOutcome, requestId: "2", status: 499, method: "POST" }, cells);
    expect([...cells.series()]).toEqual([
      { code: "200", method: "GET", value: 1 },
      { code: "499", method: "POST", value: 1 },
    ]);
    expect(cells.duration.sum).toBeCloseTo(1.5123, 4);
    expect(await close()).toEqual([1, 2]);
  });

  test("counts what the access log does not take", async () => {
    const { log, close } = openLog(0);
    const cells = new RequestCells("shop-api", "shop", "stable");
    new Observer(log).observe(fineOutcome, cells);
    expect([...cells.series()]).toEqual([{ code: "200", method: "GET", value: 1 }]);
    expect(await close()).toEqual([]);
  });
});
