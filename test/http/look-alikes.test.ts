import { describe, expect, it, test } from "vitest";
import { LookAlikes } from "../../src/http/look-alikes.ts";
import { expectLinearTime, nothingBut } from "../kit/linear-time.ts";

const names = (...reserved: string[]): LookAlikes => {
  const made = LookAlikes.of(reserved);
  if (made === undefined) throw new Error("no names");
  return made;
};
const reserved = names("region", "user_id");

/** Queries, and what is left of them. */
const queries: readonly (readonly [sentence: string, query: string, left: string])[] = [
  ["a leading plus sign", "a=1&+region=east", "a=1"],
  ["a leading escaped blank", "%20region=east&a=1", "a=1"],
  ["a leading escaped tab", "%09region=east", ""],
  ["a semicolon that some parsers split at", "a=1;region=east&b=2", "a=1&b=2"],
  ["several parts of one parameter", "a=1;region=east;b=2;+region=x", "a=1;b=2"],
  ["an escaped letter after a semicolon", "a=1;%72egion=east", "a=1"],
  ["an entity", "a=1&amp;region=east", "a=1&amp"],
  ["a list", "region[]=east&region%5B%5D=west&region[0]=x", ""],
  ["a bracket without its end", "region[=east&[region=x&[region]=y", ""],
  ["other letter case", "REGION=east&Region=x", ""],
  ["a dot, blank or bracket that PHP reads as an underscore", "user.id=1&user+id=2&user%20id=3&user%2Eid=4", ""],
  ["a NUL that ends a name", "region%00x=east", ""],
  ["a second question mark", "?region=east", ""],
  ["an escape of older ASP", "%u0072egion=east", ""],
  ["no value", "+region&a", "a"],
  [
    "nothing in other names, byte for byte",
    "regions=1&aregion=2&userid=3&q=a;b;&&=%zz",
    "regions=1&aregion=2&userid=3&q=a;b;&&=%zz",
  ],
  ["nothing in values", "q=region&a=+region", "q=region&a=+region"],
];

const cookies: readonly (readonly [sentence: string, header: string, left: string])[] = [
  ["quotes around the name", 'a=1; "region"=east; b=2', "a=1; b=2"],
  ["an escaped letter", "%72egion=east; a=1", "a=1"],
  ["a list", "a=1; region[]=east", "a=1"],
  ["other letter case", "Region=east", ""],
  ["a comma that older parsers split at", "a=1,region=east; b=2", "a=1; b=2"],
  ["a blank that older parsers split at", "a=1 region=east; b=2", "a=1; b=2"],
  ["a dot that PHP reads as an underscore", "user.id=7; a=1", "a=1"],
  ["nothing in other names, byte for byte", 'x=y;regions=1; q="region"; a=b%', 'x=y;regions=1; q="region"; a=b%'],
];

describe("look-alikes of reserved parameters: removed is", () => {
  it.each(queries)("%s", (_sentence, query, left) => {
    expect(reserved.stripQuery(query)).toBe(left);
  });

  it("nothing else below a name with an index", () => {
    expect(names("filter[a]", "x").stripQuery("filter[b]=1&filter=2")).toBe("filter[b]=1&filter=2");
    expect(LookAlikes.of(["filter[a]"])).toBe(undefined);
  });
});

describe("look-alikes of reserved cookies: removed is", () => {
  it.each(cookies)("%s", (_sentence, header, left) => {
    expect(reserved.stripCookies(header)).toBe(left);
  });
});

test("look-alikes are found in linear time", { tags: ["slow"] }, () => {
  expectLinearTime(() => {
    for (const unit of ["%", "+", "region;", "[", ",a", " a=", "&%20", '"']) {
      reserved.stripQuery(`region${nothingBut(unit)}`);
      reserved.stripCookies(`region${nothingBut(unit)}`);
    }
  });
});
