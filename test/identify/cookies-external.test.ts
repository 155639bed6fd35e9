import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findCookie } from "../../src/identify/cookies.ts";

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

  describe("Cookie look-ups that other projects wrote", () => {
    test.each(cases.map((entry): [string, LookupCase] => [entry.id, entry]))("%s", (id, entry) => {
      const header = entry.cookie_headers.join("; ");
      for (const [name, wanted] of Object.entries(entry.lookups)) {
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
