/** `npm run bench`: timings of single stages, then whole proxies side by side. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { killChildrenAtExit, planPinning } from "./child.ts";
import { type EndToEndSettings, runEndToEnd } from "./end-to-end.ts";
import { endToEndChart, endToEndGoals, endToEndTable } from "./end-to-end-report.ts";
import { type Goal, goalLine } from "./goal.ts";
import { describeMachine, type Machine, machineLine } from "./machine.ts";
import { buildPrograms, sourcePrograms } from "./programs.ts";
import { nodePeerNames, type ProxyName } from "./proxies.ts";

const proxyNames: readonly ProxyName[] = ["perch", "perch-no-log", ...nodePeerNames];

const usage = `Usage: node bench/main.ts [options]

      --only micro|e2e     one half
      --quick              a smoke run of about a minute; its figures mean little and are not written
      --proxies NAMES      some of ${proxyNames.join(",")}
      --source             run the proxies from unbuilt TypeScript, instead of compiling them first
      --rounds N           measurements of each proxy; default 3
      --seconds N          length of each, after the warm-up; default 8
      --users N            distinct users, each with a pin; default 10000
      --connections N      kept busy all the time; default 64
      --out DIR            where the results are written; default bench/results, only for a whole run
  -h, --help`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    proxies: { type: "string", default: proxyNames.join(",") },
    source: { type: "boolean", default: false },
    rounds: { type: "string" },
    seconds: { type: "string" },
    users: { type: "string" },
    connections: { type: "string", default: "64" },
    out: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

const say = (text: string) => void process.stdout.write(`${text}\n`);

function main(): Promise<void> {
  if (values.help) {
    say(usage);
    return Promise.resolve();
  }
  if (values.only !== undefined && values.only !== "micro" && values.only !== "e2e") {
    throw new RangeError(`--only is micro or e2e, not ${values.only}`);
  }
  return runAll(values.only);
}

async function runAll(only: "micro" | "e2e" | undefined): Promise<void> {
  killChildrenAtExit();
  const machine = describeMachine();
  say(`${machineLine(machine)}\n`);
  const goals: Goal[] = [];
  if (only !== "e2e") goals.push(...(await micro(machine)));
  if (only !== "micro") goals.push(...(await endToEnd(machine)));
  say(`Goals\n${goals.map(goalLine).join("\n")}`);
}

async function micro(machine: Machine): Promise<readonly Goal[]> {
  // Loaded here, so that the other half runs even where this one fails to load.
  const { microTables, runMicro } = await import("./micro.ts");
  const report = runMicro(values.quick ? { warmUpMs: 50, measureMs: 100 } : { warmUpMs: 500, measureMs: 1_000 });
  say(`${microTables(report)}\n`);
  const directory = resultsDirectory(true);
  if (directory !== undefined) write(directory, "micro.json", json({ machine, ...report }));
  return report.goals;
}

async function endToEnd(machine: Machine): Promise<readonly Goal[]> {
  const settings: EndToEndSettings = {
    proxies: values.proxies.split(",").map(proxyName),
    rounds: count("rounds", values.rounds, values.quick ? 1 : 3),
    connections: count("connections", values.connections, 64),
    users: count("users", values.users, values.quick ? 2_000 : 10_000),
    warmUpMs: values.quick ? 1_000 : 3_000,
    measureMs: count("seconds", values.seconds, values.quick ? 2 : 8) * 1_000,
  };
  const pinning = planPinning();
  const programs = values.source ? sourcePrograms() : buildPrograms();
  const subtitle = `${settings.connections} connections, ${settings.users} users with a pin each, 1 KiB answers; ${programs.description}; ${pinning.description}`;
  say(subtitle);
  const results = await runEndToEnd(settings, programs, pinning, say);
  const goals = endToEndGoals(results);
  say(`\nMedians of ${settings.rounds} rounds\n${endToEndTable(results)}\n`);
  const directory = resultsDirectory(settings.proxies.length === proxyNames.length);
  if (directory !== undefined) {
    write(
      directory,
      "end-to-end.json",
      json({ machine, programs: programs.description, pinning: pinning.description, settings, results, goals }),
    );
    write(directory, "end-to-end.svg", endToEndChart(results, machine, subtitle));
  }
  // A wrong response of any proxy fails the run.
  if (results.some((result) => result.void.length > 0)) process.exitCode = 1;
  return goals;
}

/** Results that only a complete, full-length run may replace, unless a file was named. */
function resultsDirectory(isWhole: boolean): string | undefined {
  if (values.out !== undefined) return values.out;
  return isWhole && !values.quick ? fileURLToPath(new URL("results", import.meta.url)) : undefined;
}

function write(directory: string, file: string, text: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, file), text);
}

function json(report: object): string {
  return `${JSON.stringify({ measuredAt: new Date().toISOString(), ...report }, undefined, 2)}\n`;
}

function proxyName(name: string): ProxyName {
  const found = proxyNames.find((known) => known === name);
  if (found === undefined) throw new RangeError(`--proxies: "${name}" is none of ${proxyNames.join(", ")}`);
  return found;
}

function count(name: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`--${name} "${text}" is not a whole number above 0`);
  return value;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  // Also ends the processes of a failed run.
  process.exit(1);
}
