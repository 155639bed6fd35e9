import { jsonSchema } from "../config/schema.ts";
import type { JsonSchema } from "../config/schema-kit/schema.ts";
import { type Command, UsageError } from "./command.ts";
import { printJson } from "./load-config.ts";

export const schema: Command = {
  usage: `[--json | --markdown]

      --json      what it prints is JSON in any case
      --markdown  the reference of every key, for people

Save it beside the configuration, whose first line then is:
  # yaml-language-server: $schema=./perch.schema.json`,
  options: { json: { type: "boolean" }, markdown: { type: "boolean" } },
  async run({ options, positionals }, terminal) {
    if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`);
    if (options["markdown"] === true && options["json"] === true) throw new UsageError("either --json or --markdown");
    if (options["markdown"] === true) terminal.out(schemaPage(jsonSchema()));
    else printJson(jsonSchema(), terminal);
    return 0;
  },
};

/** One key of the configuration, as the page shows it. */
interface Row {
  /** From the file's root: `services.<name>.timeouts.connect`. */
  readonly path: string;
  readonly value: string;
  readonly fallback: string;
  readonly meaning: string;
}

type Node = Readonly<Record<string, unknown>>;

/** The configuration's reference as Markdown: every key with its value, default and meaning, a table for each section. */
export function schemaPage(schema: JsonSchema): string {
  const lines = [
    "# Configuration reference",
    "",
    "Made from the schema by `perch schema --markdown`. [full.yaml](../config/full.yaml) shows every key at work, and",
    "`perch validate` tells every problem of a file, with its place. Names of listeners, services, versions, releases,",
    "rules and routes are a-z, 0-9 and dashes, at most 63 characters. Durations are written `500ms`, `30s`, `5m`, `7d`,",
    `sizes \`64KiB\`, \`10MiB\`. Any value may come from the environment: \`${"$"}{NAME}\`, \`${"$"}{NAME:-default}\`.`,
  ];
  for (const [key, section] of Object.entries(nodesIn(schema, "properties"))) {
    const required = listIn(schema, "required").includes(key);
    lines.push("", `## ${key}`, "", `${textIn(section, "description")}${required ? " Required." : ""}`);
    const rows = rowsOf(key, section, []);
    if (rows.length > 0) lines.push("", ...tableOf(rows));
    else
      lines.push("", `${valueText(section)}${fallbackOf(section) === "" ? "" : `; default ${fallbackOf(section)}`}.`);
  }
  const definitions = nodesIn(schema, "$defs");
  for (const [name, title] of Object.entries(titles)) {
    lines.push("", `## ${title}`, "", ...tableOf(rowsOf("", definitions[name] ?? {}, [])));
  }
  return `${lines.join("\n")}\n`;
}

/** Shapes that stand in several places. */
const titles: Readonly<Record<string, string>> = { condition: "A condition", test: "A test" };

/** The keys below a node; `required` are those of the node above. */
function rowsOf(path: string, node: Node, rows: Row[]): Row[] {
  for (const shape of shapesOf(node)) {
    const required = listIn(shape, "required");
    for (const [key, child] of Object.entries(nodesIn(shape, "properties"))) {
      const childPath = path === "" ? key : `${path}.${key}`;
      const fallback = required.includes(key) ? "required" : fallbackOf(child);
      rows.push({ path: childPath, value: valueText(child), fallback, meaning: textIn(child, "description") });
      rowsOf(childPath, child, rows);
    }
    const items = nodeIn(shape, "items");
    if (items !== undefined) rowsOf(`${path}[]`, items, rows);
    const named = nodeIn(shape, "additionalProperties");
    if (named !== undefined) rowsOf(path === "" ? "<attribute>" : `${path}.<name>`, named, rows);
  }
  return rows;
}

/** A node, or the shapes that it may have; not those that a reference names, which have their own table. */
function shapesOf(node: Node): readonly Node[] {
  // A map whose keys are chosen among says so in the same word.
  const choices = node["type"] === "object" ? undefined : node["anyOf"];
  return Array.isArray(choices) ? choices.flatMap((choice: Node) => shapesOf(choice)) : [node];
}

function valueText(node: Node): string {
  const values = new Set(
    shapesOf(node)
      .map(shapeName)
      .filter((name) => name !== ""),
  );
  return [...values].join(", or ");
}

function shapeName(shape: Node): string {
  const reference = textIn(shape, "$ref").replace("#/$defs/", "");
  if (reference === "environment") return "";
  if (reference !== "")
    return reference === "textTest" ? "a [test](#a-test) on text" : `a [${reference}](#a-${reference})`;
  if (Array.isArray(shape["enum"])) return shape["enum"].map((value) => `\`${value}\``).join(", ");
  if (shape["const"] !== undefined) return `\`${shape["const"]}\``;
  const pattern = textIn(shape, "pattern");
  if (pattern.includes("ms|s|m|h|d")) return "a duration";
  if (pattern.includes("KiB")) return "a size";
  switch (shape["type"]) {
    case "object":
      return nodeIn(shape, "additionalProperties") === undefined ? "a map" : "a map by name";
    case "array": {
      const items = nodeIn(shape, "items");
      return items === undefined ? "a list" : `a list: ${valueText(items)}`;
    }
    case "boolean":
      return "`true`, `false`";
    case "integer":
    case "number":
      return rangeOf(shape);
    default:
      return "text";
  }
}

function rangeOf(shape: Node): string {
  const { minimum, maximum } = shape;
  const what = shape["type"] === "integer" ? "a whole number" : "a number";
  if (minimum !== undefined && maximum !== undefined && maximum !== Number.MAX_SAFE_INTEGER)
    return `${what}, ${minimum} to ${maximum}`;
  return minimum === undefined ? what : `${what} from ${minimum}`;
}

/** As YAML would have it on one line; nothing for a map of defaults, whose keys have their own. */
function fallbackOf(node: Node): string {
  const fallback = node["default"];
  if (fallback === undefined || JSON.stringify(fallback) === "{}") return "";
  return `\`${typeof fallback === "string" ? fallback || '""' : JSON.stringify(fallback)}\``;
}

function tableOf(rows: readonly Row[]): string[] {
  const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
  return [
    "| key | value | default | |",
    "|---|---|---|---|",
    ...rows.map(({ path, value, fallback, meaning }) => {
      const cells = [value, fallback, meaning].map(cell);
      return `| \`${path.replaceAll("|", "\\|")}\` | ${cells.join(" | ")} |`;
    }),
  ];
}

function nodesIn(node: Node, key: string): Readonly<Record<string, Node>> {
  return (node[key] ?? {}) as Readonly<Record<string, Node>>;
}

function nodeIn(node: Node, key: string): Node | undefined {
  const value = node[key];
  return typeof value === "object" && value !== null ? (value as Node) : undefined;
}

function listIn(node: Node, key: string): readonly unknown[] {
  const value = node[key];
  return Array.isArray(value) ? value : [];
}

function textIn(node: Node, key: string): string {
  const value = node[key];
  return typeof value === "string" ? value : "";
}
