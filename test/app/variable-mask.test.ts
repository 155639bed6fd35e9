import fc from "fast-check";
import { expect, it } from "vitest";
import { VariableMask } from "../../src/app/variable-mask.ts";

const ref = (name: string) => `\${${name}}`;

it.each<[text: string, shown: string]>([
  ["host Shop.Internal is unknown", `host ${ref("HOST")} is unknown`],
  ["shop.internal:8080", `${ref("HOST")}:${ref("PORT")}`],
  ["shop.internal.example", ref("LONGER")],
  ['"a\\"b" and a"b', `"${ref("QUOTED")}" and ${ref("QUOTED")}`],
  ["http://a/zw%C3%B6lf%20", `http://a/${ref("URL")}`],
  ["nothing of them", "nothing of them"],
  ['"xxxshop.inte…" is cut', `"xxx${ref("LONGER")}…" is cut`],
  ['"xxxzz…" is cut', '"xxxzz…" is cut'],
])("%s is shown as %s", (text, shown) => {
  const mask = new VariableMask([
    ["HOST", "shop.internal"],
    ["PORT", "8080"],
    ["LONGER", "shop.internal.example"],
    ["QUOTED", 'a"b'],
    ["URL", "zwölf "],
    ["EMPTY", ""],
  ]);
  expect(mask.text(text)).toBe(shown);
});

it("masks every text in a value, and leaves keys and numbers", () => {
  const mask = new VariableMask([["A", "canary"]]);
  expect(mask.all({ canary: ["canary", 1, null, { of: "Canary 2" }], not: undefined })).toEqual({
    canary: [ref("A"), 1, null, { of: `${ref("A")} 2` }],
    not: undefined,
  });
  expect(new VariableMask([]).all("a")).toBe("a");
});

it("no text shows a value, in any case, whatever the values are", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, unit: "grapheme" }), { maxLength: 5 }),
      fc.string(),
      (values, text) => {
        const mask = new VariableMask(values.map((value) => ["\u{10ffff}", value] as const));
        const shown = mask.text(`${text}${values.join(text)}${values.join("").toUpperCase()}`);
        const left = shown.split(ref("\u{10ffff}")).join("\n");
        for (const value of values)
          if (!value.includes("\n") && value === value.normalize()) expect(left).not.toContain(value);
      },
    ),
  );
});
