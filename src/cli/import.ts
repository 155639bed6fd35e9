import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { type ImportSource, importManifests } from "../config/import/import-manifests.ts";
import { type Command, type Terminal, UsageError } from "./command.ts";
import { printJson } from "./load-config.ts";

const stdinName = "<stdin>";

export const importCommand: Command = {
  usage: `FILE… [--json]

  FILE        what you have, as YAML or JSON; - for standard input. Several objects in a file, lists
              as \`kubectl get ingress,service -A -o yaml\` prints them, and several files are read as one
      --json  print the configuration's text and the notes as one object

Reads Ingresses of ingress-nginx with their canaries, HTTPRoutes of Gateway API, VirtualServices and DestinationRules of
Istio. Prints a configuration; what is not as it was stands at its top, and on standard error. Exit code 2 where there is
nothing to import.`,
  options: { json: { type: "boolean" } },
  async run({ options, positionals }, terminal) {
    if (positionals.length === 0) throw new UsageError("no file to import");
    if (positionals.filter((file) => file === "-").length > 1) throw new UsageError("- can be given once only");
    const sources: ImportSource[] = [];
    for (const file of positionals) {
      const source = await read(file, terminal);
      if (source === undefined) return 2;
      sources.push(source);
    }
    const imported = importManifests(sources);
    if (!imported.ok) {
      terminal.err(`${imported.problem}\n`);
      return 2;
    }
    for (const { where, what } of imported.notes) terminal.err(`${where}: ${what}\n`);
    if (options["json"] === true) printJson({ config: imported.config, notes: imported.notes }, terminal);
    else terminal.out(imported.config);
    return 0;
  },
};

async function read(file: string, terminal: Terminal): Promise<ImportSource | undefined> {
  if (file === "-") return { file: stdinName, text: await text(process.stdin) };
  try {
    return { file, text: readFileSync(file, "utf8") };
  } catch (error) {
    terminal.err(`${file}: can not be read: ${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  }
}
