import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTime } from "../../src/decide/time.ts";
import { TimeZone } from "../../src/decide/time-zone.ts";
import { expectLinearTime, nothingBut } from "../kit/linear-time.ts";

function zoneNamed(name: string): TimeZone {
  const zone = TimeZone.named(name);
  if (zone === undefined) throw new Error(`no zone ${name}`);
  return zone;
}

const shanghai = zoneNamed("Asia/Shanghai");
const iso = (ms: number | undefined): string => (ms === undefined ? "refused" : new Date(ms).toISOString());

describe("times without an offset are of the attribute's zone", () => {
  const forms = [
    ["2026-03-01 08:00:00", "2026-03-01T00:00:00.000Z"],
    ["2026-03-01T08:00:00", "2026-03-01T00:00:00.000Z"],
    ["2026-03-01T08:00", "2026-03-01T00:00:00.000Z"],
    ["2026-03-01 08:00:00.5", "2026-03-01T00:00:00.500Z"],
    ["2026-03-01T08:00:00,123456789123", "2026-03-01T00:00:00.123Z"],
    ["2026-03-01", "2026-02-28T16:00:00.000Z"],
    ["2026/03/01", "2026-02-28T16:00:00.000Z"],
    ["2026/3/1", "2026-02-28T16:00:00.000Z"],
    ["2026/03/01 08:00:00", "2026-03-01T00:00:00.000Z"],
    ["2026/3/1 8:00:00", "2026-03-01T00:00:00.000Z"],
    ["2026-3-1", "2026-02-28T16:00:00.000Z"],
    ["2026-03-01 8:00:00", "2026-03-01T00:00:00.000Z"],
    ["20260301T080000", "2026-03-01T00:00:00.000Z"],
    ["2026-03-01T08:00:00[asia/shanghai]", "2026-03-01T00:00:00.000Z"],
  ] as const;
  it.each(forms)("%s", (text, wanted) => {
    expect(iso(parseTime(text, shanghai))).toBe(wanted);
    const inUtc = text.includes("[") ? "refused" : iso(Date.parse(wanted) + 8 * 3_600_000);
    expect(iso(parseTime(text))).toBe(inUtc);
  });
});

describe("times with an offset are the same in any zone", () => {
  const forms = [
    "2026-03-01T08:00:00+08:00",
    "2026-03-01T08:00:00+0800",
    "2026-03-01T08:00:00+08",
    "2026-03-01t08:00+08:00",
    "2026-03-01 08:00:00 +0800",
    "2026-03-01 08:00:00 +0800 CST",
    "2026-03-01 00:00:00 +0000 UTC",
    "2026-03-01 08:00:00 +0800 +08",
    "2026-03-01 08:00:00.000000001 +0800 CST m=+0.000012345",
    "2026-03-01 08:00:00 GMT+0800",
    "Sun Mar 01 2026 08:00:00 GMT+0800 (China Standard Time)",
    "Sun Mar 01 2026 08:00:00 GMT+0800 (中国标准时间)",
    "Sun Mar  1 00:00:00 UTC 2026",
    "Sun Mar 01 08:00:00 +0800 2026",
    "2026-03-01T00:00Z",
    "2026-03-01T00:00:00z",
    "2026-03-01 00:00:00 UTC",
    "2026-03-01 00:00:00 GMT",
    "2026/03/01 00:00:00Z",
    "2026-03-01T08:00+08:00[Asia/Shanghai]",
    "2026-03-01T00:00:00[UTC]",
    "2026-03-01T00:00:00Z[UTC]",
    "20260301T000000Z",
    "20260301T0800+0800",
    "Sun, 01 Mar 2026 00:00:00 GMT",
    "Sun, 1 Mar 2026 08:00:00 +0800",
    "1772323200",
    "1772323200000",
    "1772323200.000",
    "1772323200000000",
    "1772323200000000000",
  ];
  it.each(forms)("%s", (text) => {
    for (const zone of [undefined, shanghai]) expect(iso(parseTime(text, zone))).toBe("2026-03-01T00:00:00.000Z");
  });
});

describe("what is ambiguous, or does not exist, is refused", () => {
  const refused = [
    "03/01/2026",
    "01.03.2026",
    "26-03-01",
    "26/03/01",
    "20260301",
    "20260301.0",
    "202603010800",
    "20260301080000",
    "20260301T080000 Z",
    "2026-03/01",
    "2026",
    "202603",
    "2026-3",
    "2026-02-30 08:00:00",
    "2026-03-01T24:00:00",
    "2026-03-01T08:00:60",
    "2026-03-01T08:00.5Z",
    "2026-03-01 +08:00",
    "2026-03-01T08:00:00 CST",
    "2026-03-01T08:00:00+8",
    "2026-03-01T08:00:00+24:00",
    "2026-03-01T08:00:00+08:60",
    "2026-03-01T08:00:00[Europe/Berlin]",
    "Mon, 01 Mar 2026 08:00:00 GMT",
    "Sun, 01 Mar 26 08:00:00 GMT",
    "Sunday, 01-Mar-26 08:00:00 GMT",
    "Sun Mar  1 08:00:00 2026",
    "Sun Mar 01 08:00:00 CST 2026",
    "Sun Mar 01 2026 08:00:00 GMT 2026",
    "Sun Mar 01 08:00:00 GMT",
    "Mon Mar 01 2026 08:00:00 GMT+0800",
    `2026-03-01T08:00:00.${"0".repeat(120)}Z`,
  ];
  it.each(refused)("%s", (text) => {
    for (const zone of [undefined, shanghai]) expect(parseTime(text, zone)).toBeUndefined();
  });

  it("numbers beside the ambiguous ones are not", () => {
    expect(parseTime("20261301")).toBe(20_261_301_000);
    expect(parseTime("946684800000")).toBe(Date.UTC(2000, 0, 1));
  });
});

describe("changes of the clock", () => {
  const rows = [
    ["Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29T00:59:59.000Z", "before a gap"],
    ["Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29T01:30:00.000Z", "in a gap: 03:30 by the new clock"],
    ["Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29T01:00:00.000Z", "after a gap"],
    ["Europe/Berlin", "2026-10-25 02:30:00", "2026-10-25T00:30:00.000Z", "that occurs twice: the first"],
    ["Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25T02:00:00.000Z", "after an overlap"],
    ["Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-03T15:45:00.000Z", "in a gap of half an hour"],
    ["Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00.000Z", "of a day that was skipped"],
    ["America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00.000Z", "midnight in a gap"],
  ] as const;
  it.each(rows)("%s %s is %s: %s", (zone, text, wanted) => {
    expect(iso(parseTime(text, zoneNamed(zone)))).toBe(wanted);
  });

  const zones = [
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Pacific/Apia",
    "Africa/Casablanca",
  ];
  it.each(zones)("any clock reading of %s is read back as its time, or as the first of two", (name) => {
    const zone = zoneNamed(name);
    const format = new Intl.DateTimeFormat("sv-SE", { timeZone: name, dateStyle: "short", timeStyle: "medium" });
    const seconds = fc.integer({ min: Date.UTC(1850, 0, 1) / 1000, max: Date.UTC(2150, 0, 1) / 1000 });
    fc.assert(
      fc.property(seconds, (second) => {
        const reading = format.format(second * 1000);
        const found = parseTime(reading, zone) ?? Number.NaN;
        expect(format.format(found)).toBe(reading);
        expect(found).toBeLessThanOrEqual(second * 1000);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a client's text", () => {
  it("takes linear time", () => {
    for (const unit of ["1", "2026-03-01T", "0 ", "2026-03-01T08:00:00.00000000"]) {
      const text = nothingBut(unit);
      expectLinearTime(() => {
        expect(parseTime(text, shanghai)).toBeUndefined();
        for (let length = 0; length <= 130; length++)
          parseTime(`2026-03-01T08:00:00.${text.slice(0, length)}`, shanghai);
      });
    }
  });

  it("any text gives a time that a Date can hold, or none", () => {
    const near = fc.array(fc.constantFrom(..."0129-/:.T Z+[]aU,"), { maxLength: 30 }).map((parts) => parts.join(""));
    const time = fc.tuple(fc.nat(9999), fc.nat(19), fc.nat(39)).map((parts) => parts.join("-"));
    fc.assert(
      fc.property(
        fc.oneof(
          near,
          fc.tuple(time, near).map((parts) => parts.join("")),
        ),
        (text) => {
          const found = parseTime(text, shanghai);
          if (found !== undefined) expect(Number.isNaN(new Date(found).getTime())).toBe(false);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
