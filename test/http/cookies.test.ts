import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CookieNames, cookieValues, findCookie, stripCookies } from "../../src/http/cookies.ts";
import { expectLinearTime, nothingBut } from "../kit/linear-time.ts";

describe("findCookie", () => {
  const cases: readonly [sentence: string, header: string, name: string, wanted: string | undefined][] = [
    ["finds a lone cookie", "a=1", "a", "1"],
    ["finds the last of several", "a=1; b=2; c=3", "c", "3"],
    ["finds one without a blank after the semicolon", "a=1;b=2", "b", "2"],
    ["takes the first of two", "a=1; a=2", "a", "1"],
    ["takes the first even where it is empty", "a=; a=2", "a", ""],
    ["keeps further equals signs in the value", "a=b=c==", "a", "b=c=="],
    ["takes off one pair of quotes", 'a="x y"', "a", "x y"],
    ["leaves a lone quote", 'a="', "a", '"'],
    ["leaves a quote on one side", 'a="x; b=y"', "a", '"x'],
    ["ignores blanks around name and value", "\t a \t= \t1 \t; b=2", "a", "1"],
    ["decodes nothing", "a=%20%41", "a", "%20%41"],
    ["tells names apart by case", "A=1", "a", undefined],
    ["does not take the end of a name for the name", "xa=1", "a", undefined],
    ["does not take the start of a name for the name", "ax=1", "a", undefined],
    ["does not look into values", "x=a=1", "a", undefined],
    ["does not look behind a blank in a value", "x=1 a=2", "a", undefined],
    ["finds a name that also stands in a value before", "x=a; a=2", "a", "2"],
    ["passes over a piece without an equals sign", "a; a=2", "a", "2"],
    ["finds nothing in an empty header", "", "a", undefined],
    ["finds nothing by an empty name", "=1", "", undefined],
    ["knows nothing of an object's own names", "a=1", "constructor", undefined],
    ["finds names that objects have", "__proto__=x", "__proto__", "x"],
    ["leaves bytes beyond ASCII as they are", "a=\xe4\xff", "a", "\xe4\xff"],
    ["finds a value of blanks empty", "a=   ;b=1", "a", ""],
  ];
  test.each(cases)("%s", (_sentence, header, name, wanted) => {
    expect(findCookie(header, name)).toBe(wanted);
  });
});

describe("cookieValues", () => {
  test("gives all values in order", () => {
    expect(cookieValues('p=1; x=p; p=; q=5; p="3"', "p")).toEqual(["1", "", "3"]);
  });
  test("gives nothing where there is none", () => {
    expect(cookieValues("a=1", "p")).toEqual([]);
  });
  test("looks at eight at most", () => {
    const header = Array.from({ length: 50 }, (_, index) => `p=${index}`).join("; ");
    expect(cookieValues(header, "p")).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
  });
});

describe("stripCookies", () => {
  const names = new CookieNames(["pin", "perch-shop", "perch-blog", ""]);
  const cases: readonly [sentence: string, header: string, wanted: string | undefined][] = [
    ["takes a cookie from the middle", "a=1; pin=x; b=2", "a=1; b=2"],
    ["takes the first", "pin=x; a=1; b=2", "a=1; b=2"],
    ["takes the last", "a=1; pin=x", "a=1"],
    ["takes the last before a trailing semicolon", "a=1; pin=x;", "a=1;"],
    ["leaves nothing of a lone one", "pin=x", undefined],
    ["leaves nothing of several", "pin=x; perch-shop=1; pin=y;", undefined],
    ["takes every occurrence", "pin=1; a=1; pin=2; b=2; pin=3", "a=1; b=2"],
    ["takes names that begin alike", "perch-shop=1; perch-x=2; perch-blog=3", "perch-x=2"],
    ["takes one with blanks around its name", "a=1;  pin = x ;b=2", "a=1;b=2"],
    ["takes a quoted one", 'a=1; pin="x"; b=2', "a=1; b=2"],
    ["takes an empty one", "a=1; pin=; b=2", "a=1; b=2"],
    ["leaves a piece without an equals sign", "pin; a=1", "pin; a=1"],
    ["leaves longer names", "pins=1; xpin=2; perch-shopper=3", "pins=1; xpin=2; perch-shopper=3"],
    ["leaves values that look like it", "a=pin=1; b=perch-shop", "a=pin=1; b=perch-shop"],
    ["leaves odd blanks and empty pieces", " a=1 ;;  ; pin=x;b = 2; ", " a=1 ;;  ;b = 2; "],
    ["leaves what has no name", "=pin; pin=1; =", "=pin; ="],
    ["leaves an empty header", "", ""],
  ];
  test.each(cases)("%s", (_sentence, header, wanted) => {
    expect(stripCookies(header, names)).toBe(wanted);
  });

  test("leaves everything where no name is given", () => {
    expect(stripCookies("a=1; pin=2", new CookieNames([]))).toBe("a=1; pin=2");
  });
});

/** The same, written for clearness: what the fast code must agree with. */
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
  test("stripping takes what it should, and never loses, changes or reorders anything else", () => {
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

  test("a look-up finds what splitting the header finds", () => {
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

/** Cases of other projects, which stay where they are: their licences differ. */
const folder = process.env["PERCH_EXTERNAL_CASES"] ?? join(import.meta.dirname, "../../../shared/external");
const file = join(folder, "cookies/cookie-header-lookup.json");

interface LookupCase {
  readonly id: string;
  readonly cookie_headers: readonly string[];
  readonly lookups: Readonly<Record<string, string | null>>;
}

/** The one project in the collection that decodes values; Perch hands them on as they were sent. */
const decodes: ReadonlySet<string> = new Set(["jshttp-pct"]);

if (!existsSync(file)) {
  test.skip(`the cookie look-ups of other projects: ${file} is not there`, () => {});
} else {
  const { cases } = JSON.parse(readFileSync(file, "utf8")) as { readonly cases: readonly LookupCase[] };
  // A few cases list no look-up: their headers hold no cookie at all, so nothing may be found by any name.
  const everyName = [...new Set(cases.flatMap((entry) => Object.keys(entry.lookups)))];

  describe("Cookie look-ups that other projects wrote", () => {
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

    test("are all there", () => {
      expect(cases.length).toBeGreaterThanOrEqual(26);
    });
  });
}
