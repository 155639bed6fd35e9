import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AccessLine } from "../../src/observe/access-log.ts";
import type { Outcome } from "../../src/observe/outcome.ts";
import { fineOutcome } from "./outcome.ts";

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

  test("no text whatever breaks a line", { timeout: 60_000 }, () => {
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
