import { readFile } from "node:fs/promises";
import { type Verb, verbs } from "../rollout/rollouts-api.ts";
import { type Command, type ExitCode, type OptionValues, type Terminal, textOption, UsageError } from "./command.ts";
import { AdminClient } from "./rollout/admin-client.ts";
import { overviewLines, statusLines } from "./rollout/status-lines.ts";
import { watchRollouts } from "./rollout/watch.ts";
import { StopSignals } from "./stop-signals.ts";
import { printableJson } from "./text-block.ts";

export const rollout: Command = {
  usage: `status [RELEASE] [--watch] [--json]
       perch rollout ${verbs.join("|")} RELEASE [--why TEXT] [--if-revision N] [--json]

      --admin URL        the admin server; default: PERCH_ADMIN, or http://127.0.0.1:9901
      --token-file FILE  a file whose first line is a token; default: PERCH_ADMIN_TOKEN_FILE
      --watch            redraw in place until Ctrl-C; without a terminal, or with --json, one line per event
      --why TEXT         for the audit log and the events
      --by NAME          your name for the audit log, in addition to the token; default: USER
      --if-revision N    change nothing if the revision is no longer N
      --json             print the answer of the API`,
  options: {
    admin: { type: "string" },
    "token-file": { type: "string" },
    watch: { type: "boolean" },
    why: { type: "string" },
    by: { type: "string" },
    "if-revision": { type: "string" },
    json: { type: "boolean" },
  },
  async run({ options, positionals: [action, release, surplus] }, terminal) {
    if (surplus !== undefined) throw new UsageError(`unexpected argument "${surplus}"`);
    const verb = verbs.find((known) => known === action);
    if (verb === undefined && action !== "status") {
      const actions = `status, ${verbs.join(", ")}`;
      throw new UsageError(
        action === undefined ? `the action is missing: ${actions}` : `"${action}" is none of ${actions}`,
      );
    }
    if (verb !== undefined && release === undefined) throw new UsageError(`${verb} needs the name of a release`);
    const misplaced = misplacedOption(verb, options);
    if (misplaced !== undefined) throw new UsageError(`--${misplaced} cannot be used with ${action}`);
    const ifRevision = textOption(options, "if-revision");
    if (ifRevision !== undefined && !/^\d{1,15}$/.test(ifRevision)) {
      throw new UsageError(`--if-revision "${ifRevision}" is not a revision: a number, as the status shows it`);
    }
    const client = await clientOf(options, terminal);
    if (verb !== undefined && release !== undefined) return change(client, release, verb, options, terminal);
    return options["watch"] === true
      ? watch(client, release, options, terminal)
      : status(client, release, options, terminal);
  },
};

function misplacedOption(verb: Verb | undefined, options: OptionValues): string | undefined {
  const others = verb === undefined ? ["why", "by", "if-revision"] : ["watch"];
  return others.find((name) => options[name] !== undefined);
}

async function clientOf(options: OptionValues, { env }: Terminal): Promise<AdminClient> {
  const admin = textOption(options, "admin") ?? env["PERCH_ADMIN"] ?? "http://127.0.0.1:9901";
  if (!/^https?:\/\//i.test(admin) || !URL.canParse(admin)) {
    throw new UsageError(`--admin "${admin}" is not an http or https URL`);
  }
  const tokenFile = textOption(options, "token-file") ?? env["PERCH_ADMIN_TOKEN_FILE"];
  return new AdminClient(admin, tokenFile === undefined ? undefined : await tokenIn(tokenFile));
}

async function tokenIn(file: string): Promise<string> {
  const text = await readFile(file, "latin1").catch((error: NodeJS.ErrnoException) => {
    throw new Error(`the token file ${file} cannot be read (${error.code})`);
  });
  const token = text.split("\n", 1)[0]?.trim() ?? "";
  // Not shown: it is a secret, if a wrong one.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error(`the first line of ${file} is not a token`);
  return token;
}

async function change(
  client: AdminClient,
  release: string,
  verb: Verb,
  options: OptionValues,
  terminal: Terminal,
): Promise<ExitCode> {
  const by = textOption(options, "by") ?? userName(terminal);
  const body = { why: textOption(options, "why"), by };
  const answer = await client.change(release, verb, body, textOption(options, "if-revision"));
  if (options["json"] === true) printAnswer(answer, terminal);
  else {
    if (!answer.changed) terminal.out("Nothing to change.\n");
    terminal.out(`${statusLines(answer.rollout).join("\n")}\n`);
  }
  return 0;
}

/** Undefined where the API would not take it. */
function userName({ env }: Terminal): string | undefined {
  const name = env["USER"] ?? env["USERNAME"] ?? "";
  return /^[\w.@-]{1,64}$/.test(name) ? name : undefined;
}

async function status(
  client: AdminClient,
  release: string | undefined,
  options: OptionValues,
  terminal: Terminal,
): Promise<ExitCode> {
  if (options["json"] === true) {
    printAnswer(release === undefined ? await client.rollouts() : await client.rollout(release), terminal);
    return 0;
  }
  if (release !== undefined) await client.rollout(release);
  terminal.out(`${overviewLines(await client.rollouts(), release).join("\n")}\n`);
  return 0;
}

/** What callers of the API wrote is in it, and must not reach the terminal as it is. */
function printAnswer(answer: object, terminal: Terminal): void {
  terminal.out(`${printableJson(JSON.stringify(answer, null, 2))}\n`);
}

async function watch(
  client: AdminClient,
  release: string | undefined,
  options: OptionValues,
  terminal: Terminal,
): Promise<ExitCode> {
  const stopped = new AbortController();
  const stop = () => stopped.abort();
  const signals = new StopSignals({ stop, stopNow: () => process.exit(0), hangUp: stop }, terminal.env);
  const redraws = terminal.isInteractive && terminal.env["TERM"] !== "dumb";
  const format = options["json"] === true ? "json" : redraws ? "screen" : "lines";
  try {
    await watchRollouts({ client, release, terminal, format, signal: stopped.signal });
  } finally {
    signals.release();
  }
  return 0;
}
