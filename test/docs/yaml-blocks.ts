import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isScalar, parse, parseDocument, stringify, visit } from "yaml";
import { jsonSchema } from "../../src/config/schema.ts";
import { mmdb } from "../kit/mmdb.ts";
import { certPem, keyPem } from "../kit/pki.ts";
import type { CodeBlock, Page } from "./page.ts";

/**
 * What a block leaves out. A block that has services, routes, and releases where routes name one, is a whole
 * configuration and is read as it stands. Of any other the maps are merged into this one, lists and values take the place
 * of its own. Keys of a release or of a service that stand at the top of a block belong to `shop`.
 */
const remainder = `
services:
  shop:
    versions:
      stable: { endpoints: ["http://shop-stable:80"] }
      canary: { endpoints: ["http://shop-canary:80"] }
attributes:
  userId: { type: string, from: [{ header: x-user-id }] }
  region: { type: string, from: [{ header: x-user-region }] }
  registeredAt: { type: time, from: [{ header: x-user-registered-at }] }
  appVersion: { type: semver, from: [{ header: x-app-version }] }
releases: { shop: { split: { stable: 95, canary: 5 } } }
routes: [{ name: shop, service: shop, release: shop }]
`;

type YamlMap = { [key: string]: unknown };

const isPlainMap = (value: unknown): value is YamlMap =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What Kubernetes, kustomize and Prometheus read, by a key that none of Perch's configurations has at its top. */
export const isOthers = ({ text }: CodeBlock): boolean => /^(?:kind|components|rule_files):/m.test(text);

/** Every YAML block of a page that is a configuration of Perch, or a part of one. */
export function configBlocks({ blocks }: Page): readonly string[] {
  return blocks.filter((block) => block.language === "yaml" && !isOthers(block)).map(({ text }) => text);
}

/** The block as a whole configuration. */
export function completed(block: string): string {
  const written: unknown = parse(block);
  if (!isPlainMap(written)) throw new Error(`not a map:\n${block}`);
  if ("services" in written && "routes" in written && ("releases" in written || !/\brelease:/.test(block)))
    return block;
  return stringify(merged(parse(remainder), inPlace(written)));
}

function inPlace(written: YamlMap): YamlMap {
  const schema: unknown = jsonSchema();
  const top = keysAt(schema, ["properties"]);
  const placed: YamlMap = {};
  for (const [key, value] of Object.entries(written)) {
    const owner = ["releases", "services"].find((section) =>
      keysAt(schema, ["properties", section, "additionalProperties", "properties"]).has(key),
    );
    const whole = top.has(key) || owner === undefined ? { [key]: value } : { [owner]: { shop: { [key]: value } } };
    Object.assign(placed, merged(placed, whole));
  }
  return placed;
}

function keysAt(schema: unknown, path: readonly string[]): ReadonlySet<string> {
  const found = path.reduce((value, step) => (isPlainMap(value) ? value[step] : undefined), schema);
  if (!isPlainMap(found)) throw new Error(`the JSON Schema has no ${path.join(".")}`);
  return new Set(Object.keys(found));
}

function merged(below: unknown, above: unknown): YamlMap {
  if (!isPlainMap(below) || !isPlainMap(above)) throw new Error("only maps are merged");
  const result: YamlMap = { ...below };
  for (const [key, value] of Object.entries(above)) {
    result[key] = isPlainMap(result[key]) && isPlainMap(value) ? merged(result[key], value) : value;
  }
  return result;
}

/** What stands in files that configurations name, by the key that names them. */
const contents: Readonly<Record<string, () => string | Buffer>> = {
  certFile: () => certPem("shop"),
  keyFile: () => keyPem("shop"),
  clientCa: () => certPem("authority"),
  ca: () => certPem("authority"),
  cert: () => certPem("client"),
  key: () => keyPem("client"),
  secretFile: () => "a secret of a page, in a test alone\n",
  passwordFile: () => "a password\n",
  tokenFile: () => "a bearer token of a page, in a test alone\n",
  headersFile: () => "authorization: a page's\n",
  inFile: () => "ada\ngrace\n",
  database: () => mmdb({ "192.0.2.0/24": { country: { iso_code: "CN" } } }),
};

/** Writes a configuration into a folder as `name`, and beside it the files that it names; absolute paths go below it. */
export function writeConfig(folder: string, name: string, text: string): string {
  const document = parseDocument(text);
  visit(document, {
    Pair(_, { key, value }) {
      const content = isScalar(key) ? contents[String(key.value)] : undefined;
      if (content === undefined || !isScalar(value)) return;
      const path = join(folder, String(value.value));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content());
      value.value = path;
    },
  });
  const path = join(folder, name);
  writeFileSync(path, document.toString());
  return path;
}

/** What `${NAME}` may stand for in a page: an endpoint. */
export const pageEnvironment: Readonly<Record<string, string>> = Object.fromEntries(
  ["WEB_STABLE", "WEB_CANARY", "STOCK_STABLE", "STOCK_CANARY"].map((name) => [name, `http://${name.toLowerCase()}:80`]),
);
