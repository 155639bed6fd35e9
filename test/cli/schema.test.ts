import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { perch } from "./captured-terminal.ts";

it("perch schema prints the schema that the package ships", async () => {
  const { code, out, err } = await perch(["schema"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(JSON.parse(out)).toEqual(JSON.parse(readFileSync("config/perch.schema.json", "utf8")));
  expect((await perch(["schema", "--json"])).out).toBe(out);
});

it("perch schema takes no file", async () => {
  expect(await perch(["schema", "perch.yaml"])).toMatchObject({ code: 2, out: "" });
});
