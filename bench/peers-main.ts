/** `npm run bench:peers`: Perch beside nginx, HAProxy and others, all doing the same work. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { killChildrenAtExit, planPinning } from "./child.ts";
import { type FoundProgram, findProgram } from "./find-program.ts";
import { goalLine } from "./goal.ts";
import { describeMachine, machineLine, openFilesLimit } from "./machine.ts";
import { nativePeerNames, nodePeerNames, type ProxyName } from "./proxies.ts";
import { makeScratchDirectory } from "./scratch-directory.ts";
import { contendersOf } from "./side-by-side/contenders.ts";
import { caveatsOf, sideBySideChart, sideBySideGoals, sideBySideTables } from "./side-by-side/report.ts";
import { runSideBySide, type SideBySideSettings } from "./side-by-side/run-side-by-side.ts";
import { type Shape, shapes } from "./side-by-side/shapes.ts";
import { startUpstreams } from "./side-by-side/upstreams.ts";
import { packageVersions } from "./versions.ts";

const proxyNames: readonly ProxyName[] = [...nativePeerNames, ...nodePeerNames, "perch-standard", "perch-fast"];
const usualProxies = "nginx,haproxy,perch-fast";
const shapeNames = shapes.map(({ name }) => name);
/** A smoke run checks briefly that each kind of shape works. */
const quickShapes = ["1KiB", "tls", "64KiB", "upload-10MiB", "workers-2", "idle"];
/** A proxy needs two files per connection, and some of its own. */
const sparedFiles = 500;

const usage = `Usage: node bench/peers-main.ts [options]

      --quick              a smoke run of about two minutes; its figures mean little and are not written
      --only SHAPES        some of ${shapeNames.join(",")}
      --proxies NAMES      some of ${proxyNames.join(",")};
                           default ${usualProxies}
      --perch DIR[,DIR]    further checkouts of Perch, each under its directory's name
      --rounds N           measurements of each row; default 5
      --seconds N          length of each, after the warm-up; default 1.5
      --rate N             requests/s where CPU time and latency are measured; default: 0.6 of what the slowest of
                           nginx, HAProxy and Perch's fast lane sustains, at most 20000 (10000 over TLS)
      --users N            distinct users, each with a pin; default 10000
      --source             run Perch and the Node proxies from unbuilt TypeScript, instead of compiling them first
      --out DIR            where the results are written; default bench/results, only for a whole run
  -h, --help`;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    proxies: { type: "string", default: usualProxies },
    perch: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    rate: { type: "string" },
    users: { type: "string" },
    source: { type: "boolean", default: false },
    out: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

const say = (text: string) => void process.stdout.write(`${text}\n`);

/** Required programs, with their Debian packages. */
const tools = [
  { name: "nginx", versionArgument: "-v", debianPackage: "nginx", without: "no run: it is the upstreams too" },
  { name: "haproxy", versionArgument: "-v", debianPackage: "haproxy", without: "no row" },
  { name: "caddy", versionArgument: "version", debianPackage: "caddy", without: "no row" },
  { name: "wrk", versionArgument: "-v", debianPackage: "wrk", without: "our own load, which is the sooner limit" },
  { name: "taskset", versionArgument: "--version", debianPackage: "util-linux", without: "nothing is pinned" },
  { name: "chrt", versionArgument: "--version", debianPackage: "util-linux", without: "latencies are less exact" },
  {
    name: "setpriv",
    versionArgument: "--version",
    debianPackage: "util-linux",
    without: "children may outlive a kill",
  },
] as const;

function findTools(): ReadonlyMap<string, FoundProgram> {
  const found = new Map<string, FoundProgram>();
  for (const { name, versionArgument, debianPackage, without } of tools) {
    const program = findProgram(name, versionArgument);
    if (program === undefined) say(`${name} is missing (Debian package ${debianPackage}): ${without}`);
    else found.set(name, program);
  }
  return found;
}

async function main(): Promise<void> {
  if (values.help) {
    say(usage);
    return;
  }
  killChildrenAtExit();
  const startedMs = performance.now();
  const machine = describeMachine();
  const found = findTools();
  const settings = chosenSettings(found);
  const pinning = planPinning();
  const upstreams = await startUpstreams(pinning);
  const users = count("users", values.users, values.quick ? 1_000 : 10_000);
  const loadTool = found.has("wrk") ? "load by wrk and our own generator" : "load by our own generator";
  const { description } = settings.pinSource.programs;
  const subtitle = `${users} users with a pin each; ${loadTool}, upstreams on nginx; ${description}; ${pinning.description}`;
  const versions = {
    ...Object.fromEntries([...found].map(([name, { version }]) => [name, version])),
    ...packageVersions(),
  };
  say(`${machineLine(machine)}\n${subtitle}`);

  const stage = {
    pinning,
    upstreams,
    users,
    wrk: found.get("wrk")?.file,
    secret: randomBytes(48).toString("base64url"),
    directory: makeScratchDirectory(),
  };
  const rows = await runSideBySide(stage, settings, say);
  await upstreams.stop();
  say(`\n${sideBySideTables(settings.shapes, rows, settings.rounds)}\n`);
  const caveats = caveatsOf(machine);
  say(caveats.join("\n"));
  const fastLanes = settings.contenders.filter(({ proxy }) => proxy === "perch-fast").map(({ name }) => name);
  const goals = Object.fromEntries(fastLanes.map((name) => [name, sideBySideGoals(rows, name)]));
  for (const [name, own] of Object.entries(goals)) say(`\nGoals of ${name}\n${own.map(goalLine).join("\n")}`);

  const isWhole = values.only === undefined && values.perch === undefined && !values.quick;
  const isUsual = values.proxies === usualProxies;
  const directory = values.out ?? (isWhole && isUsual ? fileURLToPath(new URL("results", import.meta.url)) : undefined);
  if (directory !== undefined) {
    const command = ["npm run bench:peers", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(
      " ",
    );
    const missing = tools.filter(({ name }) => !found.has(name)).map(({ name }) => name);
    const { contenders, pinSource, ...shown } = settings;
    const report = {
      measuredAt: new Date().toISOString(),
      command,
      tookSeconds: Math.round((performance.now() - startedMs) / 1000),
      machine,
      versions,
      missing,
      conditions: subtitle,
      caveats,
      settings: { proxies: contenders.map(({ name }) => name), pinsOf: pinSource.name, ...shown },
      rows,
      goals,
    };
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "peers.json"), `${JSON.stringify(report, undefined, 2)}\n`);
    writeFileSync(join(directory, "peers.svg"), sideBySideChart(settings.shapes, rows, machine, subtitle));
  }
  say(`Took ${Math.round((performance.now() - startedMs) / 1000)} s`);
  // A wrong response of any proxy fails the run.
  if (rows.some((row) => row.void.length > 0)) process.exitCode = 1;
}

function chosenSettings(found: ReadonlyMap<string, FoundProgram>): SideBySideSettings {
  const measureMs = Math.round(positive("seconds", values.seconds, values.quick ? 0.7 : 1.5) * 1000);
  const named = chosenProxies().filter((name) => !nativePeerNames.some((native) => native === name) || found.has(name));
  const checkouts = values.perch?.split(",") ?? [];
  const contenders = contendersOf(named, checkouts, !values.source);
  const pinSource =
    contenders.find(({ proxy }) => proxy === "perch-fast") ?? contendersOf(["perch-fast"], [], !values.source)[0];
  if (pinSource === undefined) throw new Error("there is no Perch to learn pins from");
  return {
    contenders,
    pinSource,
    shapes: chosenShapes(),
    rounds: count("rounds", values.rounds, values.quick ? 1 : 5),
    warmUpMs: values.quick ? 1_500 : 8_000,
    saturated: { warmUpMs: values.quick ? 300 : 500, measureMs },
    fixed: { warmUpMs: values.quick ? 500 : 700, measureMs },
    requestsPerSecond: values.rate === undefined ? undefined : count("rate", values.rate, 0),
  };
}

function chosenProxies(): readonly ProxyName[] {
  return values.proxies.split(",").map((name) => {
    const found = proxyNames.find((known) => known === name);
    if (found === undefined) throw new RangeError(`--proxies: "${name}" is none of ${proxyNames.join(", ")}`);
    return found;
  });
}

/** The requested shapes, without those that need more open files than the limit. */
function chosenShapes(): readonly Shape[] {
  const usual = shapes.filter(({ onRequest }) => !onRequest).map(({ name }) => name);
  const names = values.only?.split(",") ?? (values.quick ? quickShapes : usual);
  const chosen = names.map((name) => {
    const shape = shapes.find((known) => known.name === name);
    if (shape === undefined) throw new RangeError(`--only: "${name}" is none of ${shapeNames.join(", ")}`);
    return shape;
  });
  const openFiles = openFilesLimit();
  return chosen.filter(({ name, connections }) => {
    const needed = 2 * connections + sparedFiles;
    if (needed > openFiles)
      say(`${name} is left out: it needs ${needed} open files, and ${openFiles} are allowed (ulimit -Hn)`);
    return needed <= openFiles;
  });
}

function count(name: string, text: string | undefined, otherwise: number): number {
  const value = positive(name, text, otherwise);
  if (!Number.isInteger(value)) throw new RangeError(`--${name} "${text}" is not a whole number`);
  return value;
}

function positive(name: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new RangeError(`--${name} "${text}" is not a number above 0`);
  return value;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  // Also ends the processes of a failed run.
  process.exit(1);
}
