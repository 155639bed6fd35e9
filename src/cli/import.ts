import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { type ImportSource, importManifests } from "../config/import/import-manifests.ts";
import { type Command, type Terminal, UsageError } from "./command.ts";
import { printJson } from "./load-config.ts";

const stdinName = "<stdin>";

export const importCommand: Command = {
  usage: `FILE… [--json]

  FILE        manifests in YAML or JSON; - for standard input. A file may hold several objects, or lists
              as printed by \`kubectl get ingress,service -A -o yaml\`. All files are one input
      --json  print the configuration text and the notes as one JSON object

Reads Ingresses of ingress-nginx with their canaries, HTTPRoutes of Gateway API, and VirtualServices and DestinationRules
of Istio. Prints a configuration. Differences from the original are listed at its top and on standard error. The exit code
is 2 if there is nothing to import.`,
  options: { json: { type: "boolean" } },
  async run({ options, positionals }, terminal) {
    if (positionals.length === 0) throw new UsageError("no file to import");
    if (positionals.filter((file) => file === "-").length > 1) throw new UsageError("- can be given only once");
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
    // Notes go to stderr, so that stdout can be redirected to the new configuration file.
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
    terminal.err(`${file}: cannot be read: ${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  }
}
