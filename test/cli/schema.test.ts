import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { perch } from "./captured-terminal.ts";

it("perch schema prints the schema that the package ships", async () => {
  const { code, out, err } = await perch(["schema"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(JSON.parse(out)).toEqual(JSON.parse(readFileSync("config/perch.schema.json", "utf8")));
  expect((await perch(["schema", "--json"])).out).toBe(out);
});

it("perch schema rejects arguments", async () => {
  expect(await perch(["schema", "perch.yaml"])).toMatchObject({ code: 2, out: "" });
});

it("perch schema --markdown prints docs/configuration.md", async () => {
  const { code, out, err } = await perch(["schema", "--markdown"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toBe(readFileSync("docs/configuration.md", "utf8"));
});

it.each([
  ["a required key", "| `services.<name>.versions.<name>.endpoints` | a list: a string, or a map | required |"],
  ["a default", "| `services.<name>.timeouts.connect` | a duration | `2s` |"],
  ["a choice", "| `releases.<name>.sticky.whenWeightsChange` | `follow`, `hold` | `follow` |"],
  ["a range", "| `accessLog.sample` | a number, 0 to 1 | `1` |"],
  ["a shape with its own table", "| `releases.<name>.rules[].when` | a [condition](#a-condition) | required |"],
])("the reference shows %s", async (_what, row) => {
  expect((await perch(["schema", "--markdown"])).out).toContain(row);
});

it("perch schema rejects both formats at once", async () => {
  expect(await perch(["schema", "--markdown", "--json"])).toMatchObject({ code: 2, out: "" });
});
