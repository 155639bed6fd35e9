import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CookieNames, cookieValues, findCookie, stripCookies } from "../../src/http/cookies.ts";
import { expectLinearTime, nothingBut } from "../kit/linear-time.ts";

describe("findCookie", () => {
  const cases: readonly [sentence: string, header: string, name: string, wanted: string | undefined][] = [
    ["finds a single cookie", "a=1", "a", "1"],
    ["finds the last of several", "a=1; b=2; c=3", "c", "3"],
    ["finds one without a blank after the semicolon", "a=1;b=2", "b", "2"],
    ["returns the first of two", "a=1; a=2", "a", "1"],
    ["returns the first even if it is empty", "a=; a=2", "a", ""],
    ["keeps further equals signs in the value", "a=b=c==", "a", "b=c=="],
    ["removes one pair of quotes", 'a="x y"', "a", "x y"],
    ["keeps a single quote", 'a="', "a", '"'],
    ["keeps a quote on one side", 'a="x; b=y"', "a", '"x'],
    ["ignores blanks around name and value", "\t a \t= \t1 \t; b=2", "a", "1"],
    ["decodes nothing", "a=%20%41", "a", "%20%41"],
    ["is case-sensitive", "A=1", "a", undefined],
    ["does not match the end of a name", "xa=1", "a", undefined],
    ["does not match the start of a name", "ax=1", "a", undefined],
    ["does not search values", "x=a=1", "a", undefined],
    ["does not search values after a blank", "x=1 a=2", "a", undefined],
    ["finds a name that also occurs in an earlier value", "x=a; a=2", "a", "2"],
    ["skips a piece without an equals sign", "a; a=2", "a", "2"],
    ["finds nothing in an empty header", "", "a", undefined],
    ["finds nothing by an empty name", "=1", "", undefined],
    ["finds no properties of Object", "a=1", "constructor", undefined],
    ["finds a cookie named __proto__", "__proto__=x", "__proto__", "x"],
    ["returns non-ASCII bytes unchanged", "a=\xe4\xff", "a", "\xe4\xff"],
    ["returns a value of blanks as empty", "a=   ;b=1", "a", ""],
  ];
  test.each(cases)("%s", (_sentence, header, name, wanted) => {
    expect(findCookie(header, name)).toBe(wanted);
  });
});

describe("cookieValues", () => {
  test("returns all values in order", () => {
    expect(cookieValues('p=1; x=p; p=; q=5; p="3"', "p")).toEqual(["1", "", "3"]);
  });
  test("returns nothing if there is none", () => {
    expect(cookieValues("a=1", "p")).toEqual([]);
  });
  test("returns at most eight", () => {
    const header = Array.from({ length: 50 }, (_, index) => `p=${index}`).join("; ");
    expect(cookieValues(header, "p")).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
  });
});

describe("stripCookies", () => {
  const names = new CookieNames(["pin", "perch-shop", "perch-blog", ""]);
  const cases: readonly [sentence: string, header: string, wanted: string | undefined][] = [
    ["removes a cookie from the middle", "a=1; pin=x; b=2", "a=1; b=2"],
    ["removes the first", "pin=x; a=1; b=2", "a=1; b=2"],
    ["removes the last", "a=1; pin=x", "a=1"],
    ["removes the last before a trailing semicolon", "a=1; pin=x;", "a=1;"],
    ["removes the only one", "pin=x", undefined],
    ["removes all of several", "pin=x; perch-shop=1; pin=y;", undefined],
    ["removes every occurrence", "pin=1; a=1; pin=2; b=2; pin=3", "a=1; b=2"],
    ["removes names with a common prefix", "perch-shop=1; perch-x=2; perch-blog=3", "perch-x=2"],
    ["removes one with blanks around its name", "a=1;  pin = x ;b=2", "a=1;b=2"],
    ["removes a quoted one", 'a=1; pin="x"; b=2', "a=1; b=2"],
    ["removes an empty one", "a=1; pin=; b=2", "a=1; b=2"],
    ["keeps a piece without an equals sign", "pin; a=1", "pin; a=1"],
    ["keeps longer names", "pins=1; xpin=2; perch-shopper=3", "pins=1; xpin=2; perch-shopper=3"],
    ["keeps values that contain the names", "a=pin=1; b=perch-shop", "a=pin=1; b=perch-shop"],
    ["keeps odd blanks and empty pieces", " a=1 ;;  ; pin=x;b = 2; ", " a=1 ;;  ;b = 2; "],
    ["keeps pieces without a name", "=pin; pin=1; =", "=pin; ="],
    ["keeps an empty header", "", ""],
  ];
  test.each(cases)("%s", (_sentence, header, wanted) => {
    expect(stripCookies(header, names)).toBe(wanted);
  });

  test("keeps everything without names", () => {
    expect(stripCookies("a=1; pin=2", new CookieNames([]))).toBe("a=1; pin=2");
  });
});

/** A simple reference implementation. */
function piecesOf(header: string): { readonly text: string; readonly name: string | undefined }[] {
  return header.split(";").map((text) => {
    const equals = text.indexOf("=");
    const name = equals < 0 ? "" : text.slice(0, equals).replace(/^[ \t]+|[ \t]+$/g, "");
    return { text, name: name === "" ? undefined : name };
  });
}

function naiveStrip(header: string, names: readonly string[]): string | undefined {
  const pieces = piecesOf(header);
  const left = pieces.filter(({ name }) => name === undefined || !names.includes(name));
  if (left.length === pieces.length) return header;
  const text = left.map((piece) => piece.text).join(";");
  const result = left[0] === pieces[0] ? text : text.replace(/^[ \t]+/, "");
  return result === "" ? undefined : result;
}

const name = fc.constantFrom<string[]>("a", "pin", "pins", "pi", "perch-shop", "perch-blog", "perch-", "A");
const blanks = fc.constantFrom("", "", " ", "  ", "\t");
const value = fc.oneof(
  fc.string({ unit: fc.constantFrom("a", "p", "i", "n", "=", '"', " ", "é"), maxLength: 8 }),
  fc.constantFrom("pin", "pin=1", '"pin"', ""),
);
const piece = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(blanks, name, blanks, fc.constant("="), value, blanks).map((parts) => parts.join("")),
  },
  { weight: 1, arbitrary: fc.tuple(blanks, name, blanks).map((parts) => parts.join("")) },
  { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom("p", "=", " ", "\t", "i", "n"), maxLength: 6 }) },
);
const cookieHeader = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(";"));
const bytes = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 200,
});
const anyHeader = fc.oneof(cookieHeader, bytes);

describe("for any header", () => {
  test("stripCookies removes the named cookies, and never loses, changes or reorders anything else", () => {
    fc.assert(
      fc.property(anyHeader, fc.uniqueArray(name, { maxLength: 5 }), (header, names) => {
        const stripped = stripCookies(header, new CookieNames(names));
        expect(stripped).toBe(naiveStrip(header, names));
        const others = piecesOf(header).filter((entry) => entry.name !== undefined && !names.includes(entry.name));
        expect(piecesOf(stripped ?? "").flatMap((entry) => entry.name ?? [])).toEqual(
          others.map((entry) => entry.name),
        );
      }),
      { numRuns: 3000 },
    );
  });

  test("findCookie and cookieValues find what splitting the header finds", () => {
    fc.assert(
      fc.property(anyHeader, name, (header, wanted) => {
        const texts = piecesOf(header).filter((entry) => entry.name === wanted);
        const values = texts.map(({ text }) =>
          text
            .slice(text.indexOf("=") + 1)
            .replace(/^[ \t]+|[ \t]+$/g, "")
            .replace(/^"(.*)"$/s, "$1"),
        );
        expect(findCookie(header, wanted)).toBe(values[0]);
        expect(cookieValues(header, wanted)).toEqual(values.slice(0, 8));
      }),
      { numRuns: 3000 },
    );
  });
});

describe("takes linear time on a header of nothing but", () => {
  test.each([";", "=", "pin", "pin;", "pin=;", "pin ", "; ", " ", '"', "pin\t;pin = pin", "perch-;"])("%j", (unit) => {
    const names = new CookieNames(["pin", "perch-shop", "perch-blog"]);
    const text = nothingBut(unit);
    expectLinearTime(() => {
      for (const header of [text, `${text}=`, `pin${text}`]) {
        stripCookies(header, names);
        findCookie(header, "pin");
        cookieValues(header, "pin");
      }
    });
  });
});

/** Test cases of other projects, which are not in this repository because of their licences. */
const folder = process.env["PERCH_EXTERNAL_CASES"] ?? join(import.meta.dirname, "../../../shared/external");
const file = join(folder, "cookies/cookie-header-lookup.json");

interface LookupCase {
  readonly id: string;
  readonly cookie_headers: readonly string[];
  readonly lookups: Readonly<Record<string, string | null>>;
}

/** The cases of a project that decodes values, unlike Perch. */
const decodes: ReadonlySet<string> = new Set(["jshttp-pct"]);

if (!existsSync(file)) {
  test.skip(`the cookie look-ups of other projects: ${file} is missing`, () => {});
} else {
  const { cases } = JSON.parse(readFileSync(file, "utf8")) as { readonly cases: readonly LookupCase[] };
  // A few cases list no look-ups: their headers contain no cookie, so no name may find one.
  const everyName = [...new Set(cases.flatMap((entry) => Object.keys(entry.lookups)))];

  describe("cookie look-ups of other projects", () => {
    test.each(cases.map((entry): [string, LookupCase] => [entry.id, entry]))("%s", (id, entry) => {
      const header = entry.cookie_headers.join("; ");
      const lookups = Object.entries(entry.lookups);
      if (lookups.length === 0) for (const name of ["", ...everyName]) expect(findCookie(header, name)).toBeUndefined();
      for (const [name, wanted] of lookups) {
        const found = findCookie(header, name);
        const value = found !== undefined && decodes.has(id) ? decodeURIComponent(found) : found;
        expect({ [name]: value ?? null }).toEqual({ [name]: wanted });
      }
    });

    test("are complete", () => {
      expect(cases.length).toBeGreaterThanOrEqual(26);
    });
  });
}
