import { describe, expect, test } from "vitest";
import { perch, temporaryFolder } from "./captured-terminal.ts";

const write = temporaryFolder();

const httpRoute = (rules: readonly string[]) => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: shop, namespace: shop }
spec: { hostnames: [shop.example.com], rules: [${rules.join(", ")}] }
`;

const to = "backendRefs: [{ name: shop, port: 80 }]";

describe("perch import", () => {
  test("prints a configuration that perch validate accepts, and what is different on standard error", async () => {
    const source = write("shop.yaml", httpRoute([`{ filters: [{ type: ExtensionRef }], ${to} }`]));
    const { code, out, err } = await perch(["import", source]);
    const note = "HTTPRoute shop/shop: the filter ExtensionRef: no equivalent\n";
    expect([code, err.startsWith(note), err.split("\n").at(-2)]).toEqual([
      0,
      true,
      "1 route imported, 0 left out, 1 protection lost",
    ]);
    expect((await perch(["validate", write("result.yaml", out)])).code).toBe(0);
  });

  test("--json tells lost protection from other differences", async () => {
    const source = write("json.yaml", httpRoute([`{ filters: [{ type: ExtensionRef }, { type: X }], ${to} }`]));
    const { out } = await perch(["import", "--json", source]);
    const { notes, defects, summary } = JSON.parse(out);
    expect(summary).toEqual({ routes: 1, leftOut: 0, lostProtections: 1 });
    const lost = notes.map((note: { lostProtection: boolean }) => note.lostProtection);
    expect([lost[0], lost.slice(1).includes(true)]).toEqual([true, false]);
    expect(defects).toEqual([]);
  });

  test("says what was left out when nothing is left to import", async () => {
    const source = write("none.yaml", httpRoute([`{ matches: [{ path: { type: Exact, value: shop } }], ${to} }`]));
    const { code, out, err } = await perch(["import", source]);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain("HTTPRoute shop/shop: shop is not a path, so rules[0].matches[0] is left out");
    expect(err).toContain("nothing to import");
  });

  test("exits with 1 if its result does not load, here because it is larger than 4 MiB", async () => {
    const header = `{ name: x, value: ${"v".repeat(4_000)} }`;
    const rule = (index: number) =>
      `{ matches: [{ path: { value: /${index} } }], filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [${header}] } }], ${to} }`;
    const source = write("large.yaml", httpRoute(Array.from({ length: 1_100 }, (_, index) => rule(index))));
    const { code, err } = await perch(["import", source]);
    expect(code).toBe(1);
    expect(err).toContain("the configuration is larger than 4 MiB");
    expect(err).toContain("the configuration is not valid: a defect of perch import");
  });
});
