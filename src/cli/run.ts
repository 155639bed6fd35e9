import { parseArgs } from "node:util";
import { nearest } from "../config/schema-kit/suggest.ts";
import { packageVersion } from "../package-version.ts";
import { type Command, type ExitCode, type Terminal, UsageError } from "./command.ts";

/** A command as listed. Its module is loaded on demand, so that `perch schema` does not load the server. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<Command>;
}

/** Runs the command line of this process and sets its exit code. */
export async function run(args: readonly string[]): Promise<void> {
  // EPIPE: the reader has enough (`perch plan … | head`), which is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? (process.exitCode ?? 0) : 1);
  });
  process.exitCode = await runCommand(args, processTerminal());
}

/** Runs one command line. Never throws: errors become a message and an exit code. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    const about = name === "help" ? commands.find((command) => command.name === rest[0]) : undefined;
    terminal.out(about === undefined ? overview() : await help(about));
    // A missing command is wrong usage, although the overview is printed.
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-V") {
    terminal.out(`perch ${packageVersion} (node ${process.versions.node})\n`);
    return 0;
  }
  const entry = commands.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    const meant = nearest(
      name,
      commands.map((candidate) => candidate.name),
    );
    terminal.err(
      `perch: unknown command "${name}"${meant === undefined ? "" : `: did you mean "${meant}"?`} See perch --help.\n`,
    );
    return 2;
  }
  return runOne(entry, rest, terminal);
}

export const commands: readonly CommandEntry[] = [
  {
    name: "serve",
    summary: "Run the proxy.",
    load: async () => (await import("./serve.ts")).serve,
  },
  {
    name: "demo",
    summary: "Try it: Perch in front of two versions, with simulated users.",
    load: async () => (await import("./demo.ts")).demo,
  },
  {
    name: "validate",
    summary: "Check configuration files; every problem is reported with its line and column.",
    load: async () => (await import("./validate.ts")).validate,
  },
  {
    name: "explain",
    summary: "Show which version a request would get, and why, stage by stage.",
    load: async () => (await import("./explain.ts")).explain,
  },
  {
    name: "plan",
    summary: "Show what share of users a configuration change moves, and what a reload would do.",
    load: async () => (await import("./plan.ts")).plan,
  },
  {
    name: "rollout",
    summary: "Show and control the rollouts of a running Perch.",
    load: async () => (await import("./rollout.ts")).rollout,
  },
  {
    name: "judge",
    summary: "Replay an access log through a rollout's checks.",
    load: async () => (await import("./judge.ts")).judge,
  },
  {
    name: "schema",
    summary: "Print the JSON Schema of the configuration, for editors.",
    load: async () => (await import("./schema.ts")).schema,
  },
  {
    name: "token",
    summary: "Create a signed, expiring token that lets a tester choose a version.",
    load: async () => (await import("./token.ts")).token,
  },
  {
    name: "import",
    summary: "Convert configurations of ingress-nginx, Gateway API, Istio, Traefik, Argo or Flagger.",
    load: async () => (await import("./import.ts")).importCommand,
  },
];

async function runOne(entry: CommandEntry, args: string[], terminal: Terminal): Promise<ExitCode> {
  try {
    const command = await entry.load();
    const options = { ...command.options, help: { type: "boolean", short: "h" } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
    if (values["help"] === true) {
      terminal.out(await help(entry));
      return 0;
    }
    return await command.run({ options: values, positionals }, terminal);
  } catch (error) {
    const usage = error instanceof UsageError || isParseArgsError(error);
    const message = error instanceof Error ? error.message : String(error);
    terminal.err(`perch ${entry.name}: ${message}${usage ? `\nSee perch ${entry.name} --help.` : ""}\n`);
    return usage ? 2 : 1;
  }
}

/** `parseArgs` throws plain TypeErrors, which only their code identifies. */
function isParseArgsError(error: unknown): boolean {
  return error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}

function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const list = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join("\n");
  return `Perch, an L7 canary reverse proxy.\n\nUsage: perch <command> [options]\n\n${list}\n\nRun perch <command> --help for details.\n`;
}

async function help({ name, summary, load }: CommandEntry): Promise<string> {
  const { usage } = await load();
  return `${summary}\n\nUsage: perch ${name} ${usage.trim()}\n`;
}

function processTerminal(): Terminal {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    isInteractive: process.stdout.isTTY === true,
    rows: () => process.stdout.rows,
  };
}
