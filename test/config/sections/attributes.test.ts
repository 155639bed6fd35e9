import { describe, expect, test } from "vitest";
import { createEngine } from "../../../src/index.ts";
import { changed, load, problemsOf } from "../valid-config.ts";

const since = "since: { type: time, from: [{ header: x-since }] }";

function engineFor(timeZone: string, after: string) {
  const yaml = `
attributes: { registeredAt: { type: time, ${timeZone}from: [{ header: x-user-registered-at }] } }
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] }, canary: { endpoints: ["http://127.0.0.1:2"] } } } }
releases: { shop: { rules: [{ name: new, when: { registeredAt: { after: ${after} } }, use: canary }], split: { stable: 1, canary: 0 } } }
routes: [{ name: shop, service: shop, release: shop }]
`;
  return createEngine(yaml, { env: {} });
}

const request = (value: string) => ({ method: "GET", url: "/", headers: { "x-user-registered-at": value } });

describe("timeZone", () => {
  test.each([
    ["timeZone: Asia/Shanghai, ", "2026-03-01", "2026-03-01 08:00:00", "canary"],
    ["timeZone: Asia/Shanghai, ", "2026-03-01", "2026-02-28T16:00:00Z", "stable"],
    ["timeZone: Asia/Shanghai, ", "2026-03-01", "2026-02-28T16:00:01Z", "canary"],
    ["timeZone: Asia/Shanghai, ", '"2026-03-01 08:00"', "2026-03-01T08:00:00", "stable"],
    ["timeZone: Asia/Shanghai, ", '"2026-03-01 08:00"', "2026/03/01 08:00:01", "canary"],
    ["", "2026-01-01", "2026-03-01 08:00:00", "canary"],
    ["", "2026-01-01", "2026-03-01T08:00:00", "canary"],
    ["", "2026-01-01", "2026-03-01T08:00:00+0800", "canary"],
    ["", "2026-01-01", "2026-03-01T08:00Z", "canary"],
    ["", "2026-01-01", "2026/03/01", "canary"],
    ["", "2026-01-01", "20260301", "stable"],
    ["", "2026-03-01", "2026-02-28T16:00:01Z", "stable"],
  ])("%s after %s: a user of %s gets %4$s", (timeZone, after, value, version) => {
    expect(engineFor(timeZone, after).decide(request(value)).version).toBe(version);
  });

  test("an explanation says which forms are taken", () => {
    const explanation = engineFor("", "2026-01-01").explain(request("03/01/2026"));
    expect(JSON.stringify(explanation)).toContain('\\"03/01/2026\\" cannot be parsed as time; write 2026-03-01, ');
  });

  test.each([
    [
      "timeZone: Asia/Peking",
      '9:34: error: "Asia/Peking" is not the name of a time zone; write an IANA name such as Asia/Shanghai',
    ],
    [
      'timeZone: "+08:00"',
      '9:34: error: "+08:00" is not the name of a time zone; write an IANA name such as Asia/Shanghai',
    ],
    [
      "timeZone: CST",
      '9:34: error: "CST" is an abbreviation that several time zones have; write an IANA name such as Asia/Shanghai',
    ],
  ])("%s is refused", (written, wanted) => {
    expect(problemsOf(load(changed(since, since.replace("time,", `time, ${written},`))))).toEqual([wanted]);
  });

  test("it needs type: time", () => {
    const app = "app: { type: semver, timeZone: UTC,";
    expect(problemsOf(load(changed("app: { type: semver,", app)))).toEqual([
      '10:24: error: timeZone needs type: time; the attribute "app" is of type semver',
    ]);
  });

  test.each(["03/01/2026", "20260301", "2026", "26-03-01", "01.03.2026"])(
    "a rule with %s is an error that lists the forms",
    (written) => {
      const [problem, ...others] = problemsOf(load(changed("after: 2026-01-01", `after: ${written}`)));
      expect(problem).toContain(`"${written}" is not a time such as`);
      expect(problem).toContain("write 2026-03-01, 2026-03-01 08:00:00 (also with T,");
      expect(others).toEqual([]);
    },
  );
});
