import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { type ImportSource, importManifests } from "../config/import/import-manifests.ts";
import { summaryText } from "../config/import/summary.ts";
import { formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import { type Command, type Terminal, UsageError } from "./command.ts";
import { printJson } from "./load-config.ts";

const stdinName = "<stdin>";

export const importCommand: Command = {
  usage: `FILE… [--json]

  FILE        manifests in YAML or JSON; - for standard input. A file may hold several objects, or lists
              as printed by \`kubectl get ingress,service -A -o yaml\`. All files are one input
      --json  print the configuration text, the notes and the summary as one JSON object

Reads Ingresses of ingress-nginx with their canaries, HTTPRoutes and GRPCRoutes of Gateway API with their Gateways,
VirtualServices and DestinationRules of Istio, IngressRoutes of Traefik, Rollouts of Argo, and Canaries of Flagger. Prints
a configuration. Differences from the original are listed at its top and on standard error, lost protection first, and
then how many routes were imported and left out. The exit code is 2 if there is nothing to import, and 1 if the
configuration is not valid, which is a defect of this command.`,
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
    // Notes go to stderr, so that stdout can be redirected to the new configuration file.
    for (const { where, what } of imported.notes) terminal.err(`${where}: ${what}\n`);
    if (!imported.ok) {
      terminal.err(`${imported.problem}\n`);
      return 2;
    }
    const { config, notes, summary, defects } = imported;
    terminal.err(`${summaryText(summary)}\n`);
    if (options["json"] === true) printJson({ config, notes, summary, defects }, terminal);
    else terminal.out(config);
    if (defects.length === 0) return 0;
    for (const defect of defects) terminal.err(`${formatDiagnostic(defect)}\n`);
    terminal.err("the configuration is not valid: a defect of perch import. Correct these lines before use\n");
    return 1;
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
