import { describe, expect, it } from "vitest";
import { CookieScan } from "../../src/http/cookie-scan.ts";
import { CookieNames, cookieValues, stripCookies } from "../../src/http/cookies.ts";
import { latin1Slice } from "../../src/node-internals.ts";
import { seededNumbers } from "../kit/simulated-plane.ts";

const own = ["perch-shop", "perch-version", "pin", "x", "perch"];
const names = new CookieNames(own);
const scan = new CookieScan();

/** The scan's results in the form of the functions on text. */
function scanned(header: string) {
  const bytes = Buffer.from(`;pin=0${header}; pin=9`, "latin1");
  const from = ";pin=0".length;
  scan.scan(names, bytes, from, from + header.length);
  let left = "";
  for (let range = 0; range < scan.rangeCount; range++) {
    left += latin1Slice(bytes, scan.rangeStart(range), scan.rangeEnd(range));
  }
  const values = own.map((name) => {
    const found: string[] = [];
    for (let at = 0; at < scan.foundCount; at++) {
      if (names.list[scan.nameOf(at)] === name) {
        found.push(latin1Slice(bytes, scan.valueStart(at), scan.valueEnd(at)));
      }
    }
    return found;
  });
  return { left: left === "" && header !== "" ? undefined : left, values };
}

function asText(header: string) {
  const left = stripCookies(header, names);
  return { left, values: own.map((name) => [...cookieValues(header, name)]) };
}

describe("a scan of a Cookie field", () => {
  it.each([
    "",
    "a=1",
    "pin=1",
    "a=1; pin=2; b=3",
    "pin=1; perch-shop=2",
    "a=1; pin",
    'pin="1"; x = " 2 "',
    "  pin=1;  a=2",
    "a=1;pin=2;",
    ";;pin=1;;",
    "perch-shopper=1; perch=2",
    Array.from({ length: 12 }, (_, at) => `pin=${at}`).join("; "),
  ])("finds and strips the same as the functions on text: %j", (header) => {
    expect(scanned(header)).toEqual(asText(header));
  });

  it.each([1, 2, 20261129])("of generated fields, seed %i", (seed) => {
    const random = seededNumbers(seed);
    const parts = [...own, "a", "b2", "=", "=", "; ", "; ", ";", " ", "\t", '"', "1", "", "pi", "perch-", "é"];
    for (let round = 0; round < 20_000; round++) {
      let header = "";
      for (let left = Math.floor(random() * 14); left > 0; left--) header += parts[Math.floor(random() * parts.length)];
      expect([header, scanned(header)]).toEqual([header, asText(header)]);
    }
  });
});
