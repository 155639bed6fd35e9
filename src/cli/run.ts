import { parseArgs } from "node:util";
import { nearest } from "../config/kit/near-miss.ts";
import { packageVersion } from "../package-version.ts";
import { type Command, type ExitCode, type Terminal, UsageError } from "./command.ts";
import { demo } from "./demo.ts";
import { explain } from "./explain.ts";
import { plan } from "./plan.ts";
import { schema } from "./schema.ts";
import { serve } from "./serve.ts";
import { token } from "./token.ts";
import { validate } from "./validate.ts";

const commands: readonly Command[] = [serve, demo, validate, explain, plan, schema, token];

/** Runs the command line of this process and sets its exit code. */
export async function run(args: readonly string[]): Promise<void> {
  // Whoever read the results has read enough (`perch plan … | head`): the end of the pipe is the end of the work.
  process.stdout.on("error", () => process.exit(process.exitCode ?? 0));
  process.exitCode = await runCommand(args, processTerminal());
}

/** Runs one command line. Never throws: what goes wrong is a message and an exit code. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    const about = name === "help" ? commands.find((command) => command.name === rest[0]) : undefined;
    terminal.out(about === undefined ? overview() : help(about));
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-V") {
    terminal.out(`perch ${packageVersion} (node ${process.versions.node})\n`);
    return 0;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const meant = nearest(
      name,
      commands.map((candidate) => candidate.name),
    );
    terminal.err(
      `perch: unknown command "${name}"${meant === undefined ? "" : `: did you mean "${meant}"?`} See perch --help.\n`,
    );
    return 2;
  }
  return runOne(command, rest, terminal);
}

async function runOne(command: Command, args: string[], terminal: Terminal): Promise<ExitCode> {
  try {
    const options = { ...command.options, help: { type: "boolean", short: "h" } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
    if (values["help"] === true) {
      terminal.out(help(command));
      return 0;
    }
    return await command.run({ options: values, positionals }, terminal);
  } catch (error) {
    const usage = error instanceof UsageError || isParseArgsError(error);
    const message = error instanceof Error ? error.message : String(error);
    terminal.err(`perch ${command.name}: ${message}${usage ? `\nSee perch ${command.name} --help.` : ""}\n`);
    return usage ? 2 : 1;
  }
}

function isParseArgsError(error: unknown): boolean {
  return error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}

function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const list = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join("\n");
  return `Perch, an L7 canary reverse proxy.\n\nUsage: perch <command> [options]\n\n${list}\n\nperch <command> --help tells more.\n`;
}

function help(command: Command): string {
  return `${command.summary}\n\nUsage: perch ${command.name} ${command.usage.trim()}\n`;
}

function processTerminal(): Terminal {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    isInteractive: process.stdout.isTTY === true,
  };
}
