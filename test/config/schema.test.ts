import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadConfigFile } from "../../src/config/load.ts";
import { jsonSchema } from "../../src/config/schema.ts";
import { changed, problemsOf, testOptions, validConfig } from "./valid-config.ts";

const folder = new URL("../../config/", import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, folder), "utf8");
const examples = readdirSync(folder).filter((name) => name.endsWith(".yaml"));

const validate = new Ajv2020({ allowUnionTypes: true }).compile(jsonSchema());

describe("the JSON Schema", () => {
  test("config/perch.schema.json is up to date: `npm run -s perch -- schema > config/perch.schema.json`", () => {
    expect(read("perch.schema.json")).toBe(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
  });

  test("every key has a description", () => {
    const without: string[] = [];
    const visit = (node: unknown, path: string): void => {
      if (typeof node !== "object" || node === null) return;
      for (const [key, value] of Object.entries(node)) {
        if (key !== "properties" || typeof value !== "object") {
          visit(value, `${path}/${key}`);
          continue;
        }
        for (const [name, property] of Object.entries(value ?? {})) {
          if (typeof (property as { description?: unknown }).description !== "string") without.push(`${path}/${name}`);
          visit(property, `${path}/${name}`);
        }
      }
    };
    visit(jsonSchema(), "");
    expect(without).toEqual([]);
  });

  test("accepts a valid configuration", () => {
    expect(validate(parse(validConfig)), JSON.stringify(validate.errors)).toBe(true);
  });

  test.each([
    ["an unknown key", "trustedProxies:", "trustedProxys:"],
    ["a weight in quotes", "canary: 5 }", 'canary: "5" }'],
    ["a negative weight", "canary: 5 }", "canary: -5 }"],
    ["a duration without a unit", "connect: 2s", "connect: 2"],
    ["an unknown word", "path: /,", "path: /, sameSite: laxx,"],
    ["a misspelt operator", "{ atLeast: 3 }", "{ atleast: 3 }"],
    ["a missing key", "  - name: shop\n    service: shop\n", "  - name: shop\n"],
    ["two keys that cannot be used together", "{ prefix: /api }", "{ prefix: /api, exact: /api }"],
    ["a name in upper case", "name: second", "name: Second"],
    ["a key of a map in upper case", "      canary: {", "      Canary: {"],
    ["an endpoint with a path", "http://shop-stable:80", "http://shop-stable:80/x"],
    ["nothing instead of a list", "trustedProxies: [10.0.0.0/8]", "trustedProxies:"],
    ["a key of a later version", "services:", "jwt: {}\nservices:"],
  ])("rejects %s", (_sentence, find, replacement) => {
    expect(validate(parse(changed(find, replacement)))).toBe(false);
  });

  test("accepts a variable instead of any value", () => {
    const text = changed("canary: 5 }", `canary: "\${WEIGHT}" }`)
      .replace("connect: 2s", `connect: "\${CONNECT:-2s}"`)
      .replace("0.0.0.0:8080", `0.0.0.0:\${PORT}`);
    expect(validate(parse(text)), JSON.stringify(validate.errors)).toBe(true);
  });
});

describe("the examples", () => {
  test.each(examples)("%s loads, and the JSON Schema accepts it", (name) => {
    const path = new URL(name, folder).pathname;
    const result = loadConfigFile(path, { env: {}, randomSecret: testOptions.randomSecret });
    const errors = problemsOf(result).filter((problem) => problem.includes(" error: "));
    expect(errors).toEqual([]);
    expect(validate(parse(read(name))), JSON.stringify(validate.errors)).toBe(true);
    expect(read(name).split("\n")[0]).toBe("# yaml-language-server: $schema=./perch.schema.json");
  });

  test("minimal.yaml has at most 15 lines", () => {
    expect(read("minimal.yaml").trimEnd().split("\n").length).toBeLessThanOrEqual(15);
  });

  test("full.yaml uses every key of the schema", () => {
    const full = read("full.yaml");
    const names = new Set<string>();
    const visit = (node: unknown): void => {
      if (typeof node !== "object" || node === null) return;
      for (const [key, value] of Object.entries(node)) {
        if (key === "properties") for (const name of Object.keys(value)) names.add(name);
        visit(value);
      }
    };
    visit(jsonSchema());
    expect([...names].filter((name) => !full.includes(`${name}:`))).toEqual([]);
  });
});
