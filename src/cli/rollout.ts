import { readFile } from "node:fs/promises";
import { request } from "undici";
import type { RolloutBody } from "../admin/rollout-body.ts";
import { verbs } from "../rollout/rollouts-api.ts";
import { type Command, type ExitCode, formatTable, type Terminal, textOption, UsageError } from "./command.ts";
import { printJson } from "./load-config.ts";

export const rollout: Command = {
  usage: `status [RELEASE] [--json]
       perch rollout ${verbs.join("|")} RELEASE [--why TEXT] [--if-revision N]

      --admin URL        the admin server; default: PERCH_ADMIN, or http://127.0.0.1:9901
      --token-file FILE  a file whose first line is a token; default: PERCH_ADMIN_TOKEN_FILE
      --why TEXT         for the audit log
      --if-revision N    change nothing if the revision is another by now
      --json             print the answer of the API`,
  options: {
    admin: { type: "string" },
    "token-file": { type: "string" },
    why: { type: "string" },
    "if-revision": { type: "string" },
    json: { type: "boolean" },
  },
  async run({ options, positionals }, terminal) {
    const [action, release] = positionals;
    const verb = verbs.find((known) => known === action);
    if (verb === undefined && action !== "status") throw new UsageError(`say status or ${verbs.join(", ")}`);
    if (verb !== undefined && release === undefined) throw new UsageError(`${verb} of which release?`);
    const admin = textOption(options, "admin") ?? terminal.env["PERCH_ADMIN"] ?? "http://127.0.0.1:9901";
    if (!URL.canParse(admin)) throw new UsageError(`--admin ${admin} is not a URL`);
    const tokenFile = textOption(options, "token-file") ?? terminal.env["PERCH_ADMIN_TOKEN_FILE"];
    const headers: Record<string, string> = {};
    if (tokenFile !== undefined) headers["authorization"] = `Bearer ${await firstLine(tokenFile)}`;
    const revision = textOption(options, "if-revision");
    if (revision !== undefined) headers["if-match"] = `"${revision}"`;
    const name = release === undefined ? "" : `/${encodeURIComponent(release)}`;
    const url = new URL(`/api/rollouts${name}${verb === undefined ? "" : `/${verb}`}`, admin);
    const body = verb === undefined ? undefined : JSON.stringify({ why: textOption(options, "why") });
    const answer = await ask(url, headers, body);
    if (options["json"] === true) printJson(answer, terminal);
    else describe(answer, terminal);
    return 0 satisfies ExitCode;
  },
};

async function firstLine(file: string): Promise<string> {
  return (await readFile(file, "utf8")).split("\n", 1)[0]?.trim() ?? "";
}

type Answer =
  | RolloutBody
  | { readonly rollouts: readonly RolloutBody[] }
  | { readonly changed: boolean; readonly rollout: RolloutBody };

async function ask(url: URL, headers: Record<string, string>, body: string | undefined): Promise<Answer> {
  const change = body === undefined ? {} : { method: "POST" as const, body };
  const type = body === undefined ? {} : { "content-type": "application/json" };
  const answer = await request(url, { ...change, headers: { ...headers, ...type } }).catch((error: Error) => {
    throw new Error(`no admin server answers at ${url.origin}: ${error.message}`);
  });
  const text = await answer.body.text();
  if (answer.statusCode === 200) return JSON.parse(text) as Answer;
  const hint = answer.statusCode === 412 ? " Look at the status, then try again with the new revision." : "";
  throw new Error(`${detailOf(text) ?? `the server answered ${answer.statusCode}`}${hint}`);
}

function detailOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { readonly detail?: string }).detail;
  } catch {
    return undefined;
  }
}

function describe(answer: Answer, terminal: Terminal): void {
  if ("rollouts" in answer) {
    const shown = answer.rollouts.map((one) => statusLines(one).join("\n"));
    terminal.out(`${shown.length === 0 ? "No release has a rollout." : shown.join("\n\n")}\n`);
    return;
  }
  const status = "changed" in answer ? answer.rollout : answer;
  if ("changed" in answer && !answer.changed) terminal.out("Nothing to change.\n");
  terminal.out(`${statusLines(status).join("\n")}\n`);
}

const columns = 80;
const marks = { done: "x", current: ">", next: " " } as const;

/** What a rollout shows of itself, at most 80 columns wide. */
function statusLines(status: RolloutBody): string[] {
  const { release, id, baseline, candidate, phase, revision, sentence, steps, checks, users } = status;
  const head = `${release} ${id}: ${baseline} to ${candidate}, ${phase}, revision ${revision}`;
  return [
    ...wrap(head, ""),
    ...wrap(sentence, "  "),
    ...(status.stateProblem === null ? [] : wrap(status.stateProblem, "  ")),
    "",
    ...steps.flatMap(({ state, title }) => wrap(`[${marks[state]}] ${title}`, "  ")),
    "",
    ...checks.flatMap(({ name, verdict, why }) => [...wrap(`${name}: ${verdict}`, "  "), ...wrap(why, "      ")]),
    ...formatTable([
      ["  users", "all", "bad"],
      [`  ${baseline}`, `${users.baseline.users}`, `${users.baseline.bad}`],
      [`  ${candidate}`, `${users.candidate.users}`, `${users.candidate.bad}`],
    ]),
  ];
}

function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(/\s+/)) {
    if (line !== indent && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  return [...lines, line];
}
