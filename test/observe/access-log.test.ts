import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AccessLine, AccessLog } from "../../src/observe/access-log.ts";
import { LogDestination } from "../../src/observe/log-destination.ts";
import { Observer } from "../../src/observe/observer.ts";
import type { Outcome } from "../../src/observe/outcome.ts";
import { RequestStats } from "../../src/observe/request-stats.ts";
import { unwatchedTail } from "../kit/unwatched-tail.ts";
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
    const stats = new RequestStats();
    const observer = new Observer(log, unwatchedTail);
    observer.observe({ ...fineOutcome, requestId: "1", durationMs: 1500 }, stats);
    observer.observe({ ...fineOutcome, requestId: "2", status: 499, method: "POST" }, stats);
    expect([...stats.byCodeAndMethod.series()]).toEqual([
      { labels: ["200", "GET"], value: 1 },
      { labels: ["499", "POST"], value: 1 },
    ]);
    expect(stats.duration.sum).toBeCloseTo(1.5123, 4);
    expect(await close()).toEqual([1, 2]);
  });

  test("counts what the access log does not take", async () => {
    const { log, close } = openLog(0);
    const stats = new RequestStats();
    new Observer(log, unwatchedTail).observe(fineOutcome, stats);
    expect([...stats.byCodeAndMethod.series()]).toEqual([{ labels: ["200", "GET"], value: 1 }]);
    expect(await close()).toEqual([]);
  });
});

const nowMs = Date.parse("2026-03-01T12:00:00.007Z");
const lineOf = (changes: Partial<Outcome>): string => new AccessLine().of({ ...fineOutcome, ...changes }, nowMs);
const parsed = (changes: Partial<Outcome>): Record<string, unknown> => JSON.parse(lineOf(changes));

describe("a line of the access log", () => {
  test("is exactly this for a plain request", () => {
    expect(lineOf({})).toBe(
      '{"level":"info","time":"2026-03-01T12:00:00.007Z","msg":"request","requestId":"0b7c9f1e","route":"shop-api",' +
        '"service":"shop","release":"shop","version":"stable","reason":"split","method":"GET",' +
        '"host":"shop.example.com","path":"/api/cart","status":200,"bytesReceived":0,"bytesSent":1024,' +
        '"durationMs":12.346,"ttfbMs":10,"upstream":"http://10.0.0.1:80","attempts":1,"clientAddress":"10.1.2.3"}\n',
    );
  });

  test("says what differs where the version served is not the one assigned, and by fallback", () => {
    const changes = { assignedVersion: "canary", reason: "rule", ruleName: "east", fallback: true };
    expect(parsed(changes)).toMatchObject({
      version: "stable",
      assigned: "canary",
      reason: "rule",
      rule: "east",
      fallback: true,
    });
  });

  test("says of a unit that a rollout drew which it is, how likely the candidate was, and that it failed first", () => {
    const drawn = { unit: "00f1a2b3c4d5e6f7", odds: 0.1, failedAttempt: true };
    expect(parsed(drawn)).toMatchObject(drawn);
    expect(Object.keys(parsed({}))).not.toEqual(expect.arrayContaining(["unit"]));
  });

  test("leaves out what a request never got to", () => {
    const line = parsed({
      routeName: "none",
      serviceName: undefined,
      releaseName: undefined,
      servedVersion: undefined,
      assignedVersion: undefined,
      reason: undefined,
      status: 404,
      error: "no-route",
      ttfbMs: undefined,
      upstream: undefined,
      attemptCount: 0,
    });
    expect(line).toMatchObject({ route: "none", status: 404, error: "no-route", attempts: 0 });
    for (const key of [
      "service",
      "release",
      "version",
      "assigned",
      "reason",
      "rule",
      "fallback",
      "ttfbMs",
      "upstream",
    ]) {
      expect(line).not.toHaveProperty(key);
    }
  });

  test("has room for no cookie, token, header or query string", () => {
    const known =
      "level time msg requestId route service release version assigned reason rule fallback method host path";
    const numbers = "status error bytesReceived bytesSent durationMs ttfbMs upstream attempts clientAddress";
    const names = Object.keys(
      parsed({ assignedVersion: "canary", ruleName: "east", fallback: true, error: "overloaded" }),
    );
    expect(names.toSorted()).toEqual(`${known} ${numbers}`.split(" ").toSorted());
  });
});

describe("log injection", () => {
  test.each([
    { about: "a newline and a forged line", text: '/a\n{"msg":"request","status":200}' },
    { about: "a carriage return", text: "/a\r/b" },
    { about: "a quote and a backslash", text: '/a"\\,"admin":"yes' },
    { about: "an escape sequence for a terminal", text: "/\u001b[2J\u009b31m" },
    { about: "DEL", text: "/a\u007f" },
    { about: "NUL", text: "/a\u0000b" },
    { about: "NEL, a line end to some readers", text: "/a\u0085b" },
    { about: "the line and paragraph separators", text: "/a\u2028b\u2029c" },
    { about: "a bidirectional override", text: "/a\u202egpj.exe" },
    { about: "a lone high surrogate", text: "/a\ud800b" },
    { about: "a lone low surrogate", text: "/a\udc00b" },
    { about: "a pair of surrogates", text: "/😀" },
    { about: "Latin-1 that was UTF-8 once", text: "/Ã©" },
  ])("$about stays one line of printable ASCII that reads back as sent", ({ text }) => {
    const changes = { path: text, host: text, requestId: text, method: text.slice(0, 8), ruleName: text };
    const line = lineOf(changes);
    expect(line).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(line)).toMatchObject({ path: text, host: text, requestId: text, rule: text });
  });

  test("no text whatever breaks a line", { tags: ["slow"], timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), fc.string({ maxLength: 20 }), (path, method) => {
        const line = lineOf({ path, method });
        expect(line).toMatch(/^[\x20-\x7e]+\n$/);
        expect(JSON.parse(line)).toMatchObject({ path, method });
      }),
      { numRuns: 300 },
    );
  });

  test("what a client chooses the length of is cut", () => {
    const long = "é".repeat(50_000);
    const line = parsed({ path: long, host: long, requestId: long, method: long });
    const lengths = ["path", "host", "requestId", "method"].map((key) => String(line[key]).length);
    expect(lengths).toEqual([2049, 256, 129, 33]);
    expect(line["path"]).toBe(`${"é".repeat(2048)}…`);
  });
});
