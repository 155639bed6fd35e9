import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AccessLine } from "../../src/observe/access-log.ts";
import type { Outcome } from "../../src/observe/outcome.ts";
import { LineTimes, type LogLine } from "../../src/rollout/replay/log-line.ts";
import { parseOwnLine } from "../../src/rollout/replay/parse-line.ts";
import { expectLinearTime, nothingBut } from "../kit/linear-time.ts";
import { fineOutcome } from "../observe/outcome.ts";

const timeMs = Date.UTC(2026, 2, 1, 12, 34, 56, 789);
const lineOf = (outcome: Outcome): string => new AccessLine().of(outcome, timeMs).slice(0, -1);

/** Every field that a line can have. */
const fullOutcome: Outcome = {
  ...fineOutcome,
  releaseName: "shop",
  servedVersion: "stable",
  assignedVersion: "canary",
  reason: "split",
  ruleName: "testers",
  fallback: true,
  fault: "abort",
  rescued: true,
  failedAttempt: true,
  unit: "53eeeba4888fd3cb",
  odds: 0.1,
  status: 502,
  grpcStatus: 14,
  error: "connect-failed",
  errorCause: "ECONNREFUSED",
  traceId: "920d759f20be2422c8d62dff12bc1826",
  durationMs: 12.345,
  ttfbMs: 3.2,
};

const read = [
  ...["time", "release", "version", "assigned", "reason", "unit", "odds", "status", "grpcStatus", "error", "cause"],
  ...["fault", "rescued", "failedAttempt", "durationMs"],
];

/** What `JSON.parse` gives of the fields that are read. Throws where it does. */
function parsed(line: string): LogLine {
  const all: Record<string, unknown> = JSON.parse(line);
  return Object.fromEntries(read.flatMap((name) => (Object.hasOwn(all, name) ? [[name, all[name]]] : [])));
}

const present = (line: LogLine | undefined) =>
  Object.fromEntries(Object.entries(line ?? {}).filter(([, v]) => v !== undefined));

describe("a line as Perch writes it", () => {
  it.each([
    ["with every field", fullOutcome],
    ["with few fields", fineOutcome],
    ["with whole numbers", { ...fullOutcome, odds: 1, durationMs: 0 }],
  ])("is read without JSON.parse: %s", (_about, outcome) => {
    const line = lineOf(outcome);
    expect(present(parseOwnLine(line))).toEqual(parsed(line));
  });

  it("is not read so where it is of another form", () => {
    const line = lineOf(fullOutcome);
    const others = [
      line.replace("{", "{ "),
      `${line}\r`,
      line.slice(0, -1),
      line.replace('"unit"', '"\\u0075nit"'),
      line.replace('"status":502', '"status":0502'),
      line.replace('"status":502', '"status":502,"status":200'),
      line.replace('"status":502', '"status":"502"'),
      line.replace('"odds":0.1', '"odds":1e-1'),
      line.replace('"host":"', '"host":"\t'),
      line.replace('"clientAddress"', '"more":{"status":200},"clientAddress"'),
    ];
    for (const other of others) expect([other, parseOwnLine(other)]).toEqual([other, undefined]);
  });

  it("is read as JSON.parse does, or not at all, whatever clients send and whatever is damaged", () => {
    const bits = [...'"\\,:{}[]é漢 \u0000\u2028', '","status":200', '"}\n{"', "\\u0022", "😀", "plain"];
    const hostile = fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.array(fc.constantFrom(...bits), { maxLength: 3 }).map((parts) => parts.join("")),
    );
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const change = fc.oneof(
      fc.tuple(fc.constantFrom("method", "host", "path", "ruleName", "releaseName", "unit"), hostile),
      fc.tuple(fc.constantFrom("odds", "durationMs"), share),
    );
    const outcome = fc
      .array(change, { maxLength: 2 })
      .map((changes): Outcome => ({ ...fullOutcome, ...Object.fromEntries(changes) }));
    const piece = fc.oneof(
      fc.constantFrom(
        '"',
        "\\",
        ",",
        "{",
        "}",
        ":",
        "0",
        "-",
        ".",
        "e1",
        "true",
        "null",
        "\u0000",
        "é",
        '"status":1',
        '"unit":"x",',
        "[1]",
      ),
      fc.string({ maxLength: 3 }),
    );
    const edit = fc.record({ at: fc.nat(700), drop: fc.nat(12), piece });
    let [own, other, damagedOwn] = [0, 0, 0];
    fc.assert(
      fc.property(outcome, fc.array(edit, { maxLength: 2 }), (given, edits) => {
        const line = edits.reduce(
          (text, e) => text.slice(0, e.at) + e.piece + text.slice(e.at + e.drop),
          lineOf(given),
        );
        const found = parseOwnLine(line);
        if (found === undefined) {
          other++;
          return;
        }
        own++;
        expect(present(found)).toEqual(parsed(line));
        if (edits.length > 0) damagedOwn++;
      }),
      { seed: 14, numRuns: 2_000 },
    );
    expect(Math.min(own, other, damagedOwn * 4)).toBeGreaterThan(200);
  });

  it("costs no more than its length, however long a damaged line is", () => {
    expectLinearTime(() => {
      for (const filler of ["x", "0", '",', '"host":"', "\\"]) {
        const line = lineOf(fineOutcome).replace('"path":"', `"path":"${nothingBut(filler)}`);
        for (const text of [line, line.slice(0, -1), line.replace('"status":', '"status":0')]) parseOwnLine(text);
      }
      parseOwnLine(lineOf(fineOutcome).replace('"status":', `"status":${nothingBut("1")}x`));
    });
  });
});

describe("times of lines", () => {
  const parsedTime = (time: unknown) => (typeof time === "string" ? Date.parse(time) : Number.NaN);

  it("are what Date.parse says, in any order and form", () => {
    const second = fc.constantFrom(
      "2026-03-01T00:00:00",
      "2026-03-01T24:00:00",
      "2026-02-30T00:00:00",
      "2026-13-01T00:00:00",
    );
    const rest = fc.constantFrom(
      ".000Z",
      ".001Z",
      ".999Z",
      ".12aZ",
      ".-01Z",
      ".1e1Z",
      "Z",
      ".1234Z",
      ".123+",
      ",123Z",
      ":::::",
      "",
    );
    const time = fc.oneof(
      fc.tuple(second, rest).map((parts) => parts.join("")),
      fc.constantFrom(undefined, null, true),
    );
    fc.assert(
      fc.property(fc.array(time, { maxLength: 12 }), (times) => {
        const reader = new LineTimes();
        expect(times.map((one) => reader.of({ time: one }))).toEqual(times.map(parsedTime));
      }),
      { seed: 14, numRuns: 2_000 },
    );
  });

  it("are taken as numbers, too", () => {
    expect(new LineTimes().of({ time: 17 })).toBe(17);
  });
});
