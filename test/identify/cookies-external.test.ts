import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findCookie } from "../../src/http/cookies.ts";

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
