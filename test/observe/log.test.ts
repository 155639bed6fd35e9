import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createLogger, type LogLevel, TimeText } from "../../src/observe/log.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "perch-log-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const openLogger = (level: LogLevel) => {
  const to = join(directory, "perch.log");
  const log = createLogger({ level, nowMs: () => Date.parse("2026-03-01T12:00:00Z"), to });
  return { log, written: () => readFileSync(to, "utf8") };
};

describe("the program's own log", () => {
  test("is written at once, one JSON object a line", () => {
    const { log, written } = openLogger("info");
    log.info({ address: "127.0.0.1:8080" }, "listening");
    expect(written()).toBe(
      '{"level":"info","time":"2026-03-01T12:00:00.000Z","address":"127.0.0.1:8080","msg":"listening"}\n',
    );
  });

  test.each([
    { level: "trace", wanted: ["trace", "debug", "info", "warn", "error", "fatal"] },
    { level: "info", wanted: ["info", "warn", "error", "fatal"] },
    { level: "error", wanted: ["error", "fatal"] },
    { level: "silent", wanted: [] },
  ] as const)("at $level says $wanted", ({ level, wanted }) => {
    const { log, written } = openLogger(level);
    for (const each of ["trace", "debug", "info", "warn", "error", "fatal"] as const) log[each]("x");
    const lines = written().split("\n").slice(0, -1);
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(wanted);
  });

  test("keeps hostile text of a peer on its line", () => {
    const { log, written } = openLogger("info");
    log.warn({ err: new Error("bad header \u2028\u0085\u001b[2J\n{}") }, "upstream said \u202e nonsense");
    expect(written()).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(written())).toMatchObject({ msg: "upstream said \u202e nonsense" });
  });

  test("of a worker goes where it is told to, whole, and says which worker speaks", () => {
    const lines: string[] = [];
    const to = { write: (line: string) => lines.push(line) };
    createLogger({ level: "info", nowMs: () => 0, to, worker: 2 }).info({ a: 1 }, "hello");
    expect(lines).toEqual(['{"level":"info","time":"1970-01-01T00:00:00.000Z","worker":2,"a":1,"msg":"hello"}\n']);
  });

  test("ends no process when it cannot be written", () => {
    const log = createLogger({ level: "info", nowMs: () => 0, to: "/dev/full" });
    expect(() => log.info("lost")).not.toThrow();
  });
});

describe("the time of a log line", () => {
  const time = new TimeText();

  // One instance for all: what it keeps of a second must not leak into another.
  test.each([
    { nowMs: 0, wanted: "1970-01-01T00:00:00.000Z" },
    { nowMs: 999.9, wanted: "1970-01-01T00:00:00.999Z" },
    { nowMs: 1_000, wanted: "1970-01-01T00:00:01.000Z" },
    { nowMs: 1_005, wanted: "1970-01-01T00:00:01.005Z" },
    { nowMs: 1_767_225_599_999, wanted: "2025-12-31T23:59:59.999Z" },
    { nowMs: 1_767_225_600_000, wanted: "2026-01-01T00:00:00.000Z" },
    { nowMs: 1_005, wanted: "1970-01-01T00:00:01.005Z" },
  ])("is $wanted at $nowMs", ({ nowMs, wanted }) => {
    expect(time.of(nowMs)).toBe(wanted);
  });
});
