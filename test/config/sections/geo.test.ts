import { describe, expect, test } from "vitest";
import { mmdb } from "../../kit/mmdb.ts";
import { changed, load, problemsOf, testFiles } from "../valid-config.ts";

const record = { country: { iso_code: "CN" } };
const files: Readonly<Record<string, Uint8Array>> = {
  "city.mmdb": mmdb({ "192.0.2.0/24": record }),
  "country.mmdb": mmdb({ "192.0.2.0/24": record }, { type: "GeoLite2-Country" }),
  "bad.mmdb": Buffer.from("bad"),
  "pins.secret": Buffer.from(testFiles["pins.secret"] ?? ""),
};
const readFile = (path: string) => {
  const contents = files[path.split("/").at(-1) ?? ""];
  if (contents === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
  return contents;
};

const withGeo = (geo: string, source = "{ geo: country }") =>
  changed("[{ header: X-User-Id }, { cookie: uid }]", `[${source}]`)
    .replace("userId: ada", "userId: CN")
    .replace("services:", `geo: ${geo}\nservices:`);

describe("geo", () => {
  const cases: readonly (readonly [sentence: string, text: string, wanted: readonly string[]])[] = [
    [
      "a database with the fields",
      withGeo("{ database: city.mmdb }", "{ geo: region }, { geo: city }, { geo: continent }"),
      [],
    ],
    [
      "a database without the field",
      withGeo("{ database: country.mmdb }", "{ geo: region }").replace("userId: CN", "userId: CN-SH"),
      ['6:41: warning: the database "GeoLite2-Country" contains countries only, so region is always unknown'],
    ],
    [
      "a rule on a country that no database gives",
      withGeo("{ database: city.mmdb }").replace("userId: CN", "userId: [cn, CHN, China]"),
      ['27:15: warning: rule "first" never matches: the database gives a country as in CN, not cn, CHN, China'],
    ],
    [
      "a rule on some countries that no database gives",
      withGeo("{ database: city.mmdb }").replace("userId: CN", "userId: [CN, China]"),
      ['27:15: warning: rule "first" has values that never occur: the database gives a country as in CN, not China'],
    ],
    [
      "a rule on all countries but one that no database gives",
      withGeo("{ database: city.mmdb }").replace("userId: CN", "not: { userId: china }"),
      ['27:15: warning: rule "first" has values that never occur: the database gives a country as in CN, not china'],
    ],
    ["no database", withGeo("{}"), ['12:6: error: geo needs the key "database"']],
    [
      "a missing file",
      withGeo("{ database: gone.mmdb }"),
      ["12:18: error: the file <folder>/gone.mmdb cannot be used: no such file"],
    ],
    [
      "a file that is not a database",
      withGeo("{ database: bad.mmdb }"),
      ["12:18: error: the file <folder>/bad.mmdb cannot be used: it is not a MaxMind database (.mmdb)"],
    ],
    [
      "a field that no database has",
      withGeo("{ database: city.mmdb }", "{ geo: county }"),
      ['6:41: error: expected country, region, continent or city, found "county"; did you mean "country"?'],
    ],
    [
      "an attribute without geo",
      changed("{ cookie: uid }", "{ geo: country }"),
      [
        "6:59: error: a geo source needs the geo section, which names the database; add geo: { database: FILE } at the top level",
      ],
    ],
    [
      "geo without an attribute",
      withGeo("{ database: city.mmdb }", "{ cookie: uid }"),
      ["12:1: warning: no attribute has a geo source"],
    ],
    [
      "trust",
      withGeo("{ database: city.mmdb }", "{ geo: country, trust: proxies }"),
      ["6:50: error: trust cannot be combined with geo: the client's address is already derived with trustedProxies"],
    ],
  ];
  test.each(cases)("with %s", (_sentence, text, wanted) => {
    expect(problemsOf(load(text, { readFile }))).toEqual(wanted);
  });

  test("has another hash with another database", () => {
    const hash = (contents: Uint8Array) => {
      const result = load(withGeo("{ database: x.mmdb }"), {
        readFile: (path) => (path.endsWith("x.mmdb") ? contents : readFile(path)),
      });
      return result.ok ? result.hash : problemsOf(result);
    };
    const [one, other] = [mmdb({ "192.0.2.0/24": record }), mmdb({ "192.0.2.0/25": record })];
    expect(hash(one)).toBe(hash(Buffer.from(one)));
    expect(hash(one)).not.toBe(hash(other));
  });
});
