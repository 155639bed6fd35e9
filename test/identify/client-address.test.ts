import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { deriveClientAddress } from "../../src/http/forwarded.ts";
import { address, callerOf, type Headers, headOf, ranges } from "./heads.ts";
import { expectLinearTime, nothingBut } from "./linear-time.ts";

const trusted = ranges("10.0.0.0/8", "2001:db8:1::/48");

function derived(headers: Headers, caller = callerOf()): string | undefined {
  return deriveClientAddress(headOf(headers), caller, trusted)?.text;
}

describe("behind a trusted caller, X-Forwarded-For", () => {
  const cases: readonly [sentence: string, value: string | readonly string[], wanted: string][] = [
    ["with one address names the client", "192.0.2.1", "192.0.2.1"],
    ["is read from its end: what a client put in front counts for nothing", "198.51.100.7, 192.0.2.1", "192.0.2.1"],
    ["is followed past trusted proxies", "192.0.2.1, 10.0.0.1, 10.0.0.2", "192.0.2.1"],
    ["of trusted addresses alone names the leftmost", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["in several lines is one list", ["198.51.100.7", "192.0.2.1, 10.0.0.1", "10.0.0.2"], "192.0.2.1"],
    ["may have empty elements", ", 192.0.2.1 ,, 10.0.0.1,", "192.0.2.1"],
    ["may have no blanks, or tabs", "192.0.2.1,10.0.0.1,\t10.0.0.2\t", "192.0.2.1"],
    ["may name an IPv6 client", "2001:db8:2::1, 2001:db8:1::5", "2001:db8:2::1"],
    ["may put IPv6 into brackets", "[2001:db8:2::1]", "2001:db8:2::1"],
    ["may add a port", "192.0.2.1:50123, 10.0.0.1:80", "192.0.2.1"],
    ["may add a port to IPv6 in brackets", "[2001:db8:2::1]:443", "2001:db8:2::1"],
    ["with an IPv4-mapped address names the IPv4 client", "::ffff:192.0.2.1", "192.0.2.1"],
    ["ends the walk at a malformed entry, with the last good one", "192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"],
    ["of garbage leaves the caller", "not an address", "10.0.0.9"],
    ["that is empty leaves the caller", "", "10.0.0.9"],
    ["with numbers in octal, as some programs read them, is malformed", "010.0.0.1", "10.0.0.9"],
    ["with a zone identifier is malformed", "fe80::1%eth0", "10.0.0.9"],
    ["is followed past 32 proxies at most", `192.0.2.1${", 10.0.0.2".repeat(31)}`, "192.0.2.1"],
    ["is given up after that", `192.0.2.1${", 10.0.0.2".repeat(32)}`, "10.0.0.2"],
  ];
  test.each(cases)("%s", (_sentence, value, wanted) => {
    expect(derived({ "x-forwarded-for": value })).toBe(wanted);
  });

  test("outranks Forwarded", () => {
    expect(derived({ "x-forwarded-for": "192.0.2.1", forwarded: "for=192.0.2.2" })).toBe("192.0.2.1");
  });
});

describe("behind a trusted caller without X-Forwarded-For, Forwarded", () => {
  const cases: readonly [sentence: string, value: string | readonly string[], wanted: string][] = [
    ["names the client", "for=192.0.2.1", "192.0.2.1"],
    ["names it among other parameters", "proto=https;For=192.0.2.1;by=10.0.0.1", "192.0.2.1"],
    ["is read from its end", "for=198.51.100.7, for=192.0.2.1", "192.0.2.1"],
    ["is followed past trusted proxies", "for=192.0.2.1;proto=https, for=10.0.0.1", "192.0.2.1"],
    ["in several lines is one list", ["for=192.0.2.1", "for=10.0.0.1"], "192.0.2.1"],
    ["may quote an IPv6 address with a port", 'for="[2001:db8:2::1]:4711"', "2001:db8:2::1"],
    ["may obfuscate the port", 'for="[2001:db8:2::1]:_p-1"', "2001:db8:2::1"],
    ["may escape characters in quotes", 'for="192\\.0.2.1"', "192.0.2.1"],
    ["may have a port unquoted, as many write it", "for=192.0.2.1:80", "192.0.2.1"],
    ["may have blanks around semicolons", "for=192.0.2.1 ; proto=http ", "192.0.2.1"],
    ["may have commas in quotes", 'for=192.0.2.1;host="a,b"', "192.0.2.1"],
    ["ends the walk at an obfuscated name", "for=192.0.2.1, for=_hidden, for=10.0.0.2", "10.0.0.2"],
    ["ends the walk at unknown", "for=unknown", "10.0.0.9"],
    ["ends the walk where no address is named", "for=192.0.2.1, proto=http", "10.0.0.9"],
    ["ends the walk where one is named twice", "for=192.0.2.1;for=192.0.2.2", "10.0.0.9"],
    ["ends the walk at a malformed element", "for=192.0.2.1, for=;=, for=10.0.0.3", "10.0.0.3"],
    ["ends the walk at a quote never opened", 'for=192.0.2.1", for=10.0.0.3', "10.0.0.3"],
  ];
  test.each(cases)("%s", (_sentence, value, wanted) => {
    expect(derived({ forwarded: value })).toBe(wanted);
  });
});

describe("an untrusted caller is the client", () => {
  const stranger = callerOf({ address: address("203.0.113.5"), trusted: false });
  const cases: readonly [sentence: string, headers: Headers][] = [
    ["with nothing sent", {}],
    ["whatever X-Forwarded-For it sends", { "x-forwarded-for": "10.0.0.1" }],
    ["whatever Forwarded it sends", { forwarded: "for=10.0.0.1" }],
  ];
  test.each(cases)("%s", (_sentence, headers) => {
    expect(derived(headers, stranger)).toBe("203.0.113.5");
  });
});

describe("a caller on a unix socket", () => {
  const local = callerOf({ address: undefined });
  test("leaves the client unknown where it says nothing", () => {
    expect(derived({}, local)).toBeUndefined();
  });
  test("is believed like any trusted one", () => {
    expect(derived({ "x-forwarded-for": "192.0.2.1" }, local)).toBe("192.0.2.1");
  });
});

test("a trusted caller that sends neither is the client itself", () => {
  expect(derived({})).toBe("10.0.0.9");
});

/**
 * A client that opens a quote would, in a reading from the start, swallow what its proxy appended, and pass for that
 * proxy: an internal address, for which overrides may be allowed.
 */
describe("nothing that a client sends before what a trusted proxy appended changes who it is", () => {
  const sent = fc.oneof(
    fc.string({
      unit: fc.constantFrom('"', "\\", ",", ";", "=", "for", "10.0.0.1", " ", "a", "[", "é"),
      maxLength: 30,
    }),
    fc.constantFrom('for="', "for=10.0.0.1", 'for="\\', 'for="10.0.0.1', '"'),
  );
  const appended = fc.constantFrom(
    "for=192.0.2.1",
    'for="192.0.2.1:80";proto=https',
    'for="192.0.2.1";host="a\\"b,c";proto=http',
    "proto=https;for=192.0.2.1",
  );
  test("in Forwarded", () => {
    fc.assert(
      fc.property(sent, appended, (before, element) => {
        expect(derived({ forwarded: `${before}, ${element}` })).toBe("192.0.2.1");
        expect(derived({ forwarded: `${before},${element}, for=10.0.0.1` })).toBe("192.0.2.1");
        expect(derived({ forwarded: [before, element] })).toBe("192.0.2.1");
      }),
      { numRuns: 2000 },
    );
  });
  test("in X-Forwarded-For", () => {
    fc.assert(
      fc.property(sent, (before) => {
        expect(derived({ "x-forwarded-for": `${before}, 192.0.2.1` })).toBe("192.0.2.1");
        expect(derived({ "x-forwarded-for": [before, "192.0.2.1, 10.0.0.1"] })).toBe("192.0.2.1");
      }),
      { numRuns: 500 },
    );
  });
});

test.each(["\\", '"', ",", 'a="', 'a="\\"', "for=10.0.0.1,", "10.0.0.1, ", "a", "a;", "a=b;", " "])(
  "a header of nothing but %j takes linear time",
  (unit) => {
    const value = nothingBut(unit);
    expectLinearTime(() => {
      for (const text of [value, `"${value}`, `${value}"`, `a="${value}"`]) {
        derived({ forwarded: text });
        derived({ "x-forwarded-for": text });
      }
    });
  },
);
