import { randomUUID } from "node:crypto";
import { StartError } from "../app/app.ts";
import { type Command, type ExitCode, type OptionValues, type Terminal, textOption, UsageError } from "./command.ts";
import { Crowd } from "./demo/crowd.ts";
import { introduction, onceResult, reportLines, verdictLines } from "./demo/report.ts";
import { type DemoSplit, type Stage, type StagePorts, startStage } from "./demo/stage.ts";
import { judge, Tally } from "./demo/tally.ts";
import { printJson } from "./load-config.ts";
import { Screen } from "./screen.ts";
import { StopSignals } from "./stop-signals.ts";

const defaultPorts: StagePorts = { proxyPort: 8080, adminPort: 9901 };
const defaultWeight = 25;
const defaultUsers = 400;
const defaultUsersOnce = 1_000;
const maxUsers = 100_000;
const requestsEachOnce = 5;

export const demo: Command = {
  usage: `[--weight PERCENT] [--users N] [--once [--json]]

      --weight PERCENT  the canary's share of the users that the rule does not match; default ${defaultWeight}
      --users N         concurrent users; default ${defaultUsers}. With --once: total users; default ${defaultUsersOnce}
      --once            send ${requestsEachOnce} requests per user, print the result and exit
      --json            with --once: print the result as one JSON object

Everything runs on this machine and needs no file. Ctrl-C stops it, a second one at once. The exit code is 1 if the split is outside its
statistical bound, a user changed versions, a request failed, or a user matched by the rule got another version.`,
  options: {
    weight: { type: "string" },
    users: { type: "string" },
    once: { type: "boolean" },
    json: { type: "boolean" },
  },
  async run({ options, positionals }, terminal) {
    if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`);
    const settings = readSettings(options);
    try {
      return await (settings.once ? runOnce(settings, terminal) : runLive(settings, terminal));
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      for (const problem of error.problems) terminal.err(`${problem}\n`);
      return 2;
    }
  },
};

interface DemoSettings {
  readonly split: DemoSplit;
  readonly users: number;
  readonly once: boolean;
  readonly json: boolean;
}

function readSettings(options: OptionValues): DemoSettings {
  const once = options["once"] === true;
  const json = options["json"] === true;
  if (json && !once) throw new UsageError("--json needs --once");
  const canary = numberOption(options, "weight") ?? defaultWeight;
  if (!(canary >= 0 && canary <= 100)) {
    throw new UsageError(`--weight "${options["weight"]}" is not a number from 0 to 100`);
  }
  const users = numberOption(options, "users") ?? (once ? defaultUsersOnce : defaultUsers);
  if (!(Number.isInteger(users) && users >= 1 && users <= maxUsers)) {
    throw new UsageError(`--users "${options["users"]}" is not a whole number from 1 to ${maxUsers}`);
  }
  // Rounded, since 100 - 99.9 is not 0.1 in floating point.
  return { split: { stable: Number((100 - canary).toFixed(9)), canary }, users, once, json };
}

/** NaN if the value is not a number or is empty; undefined if the option was not given. */
function numberOption(options: OptionValues, name: string): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  return text.trim() === "" ? Number.NaN : Number(text);
}

/** Runs a fixed number of users and requests, on free ports. */
async function runOnce({ split, users, json }: DemoSettings, terminal: Terminal): Promise<ExitCode> {
  const stage = await startStage({ split, ports: { proxyPort: 0, adminPort: 0 } });
  const { tally, crowd } = startTally(stage, split);
  if (terminal.isInteractive) terminal.err(`${users} users make ${requestsEachOnce} requests each …\n\n`);
  const startedMs = performance.now();
  try {
    await crowd.tour(users, requestsEachOnce);
  } finally {
    await crowd.close();
    await stage.close();
  }
  const report = tally.report();
  const verdict = judge(report);
  if (json) printJson(onceResult(report, verdict, performance.now() - startedMs), terminal);
  else terminal.out(`${[...reportLines(report), "", ...verdictLines(report, verdict)].join("\n")}\n`);
  return verdict.ok ? 0 : 1;
}

/** Redraws the live table until a signal to stop. Without a configuration to reload, SIGHUP is one. */
async function runLive({ split, users }: DemoSettings, terminal: Terminal): Promise<ExitCode> {
  const stopped = Promise.withResolvers<void>();
  const stop = () => stopped.resolve();
  const signals = new StopSignals({ stop, stopNow: () => process.exit(1), hangUp: stop }, terminal.env);
  try {
    const stage = await startStage({ split, ports: defaultPorts });
    const { tally, crowd } = startTally(stage, split);
    terminal.err(introduction(stage, split));
    const screen = new Screen(terminal);
    const draw = () => screen.draw([...reportLines(tally.report()), "", "Ctrl-C stops."]);
    const timer = setInterval(draw, screen.intervalMs);
    if (terminal.isInteractive) draw();
    crowd.start(users);
    await stopped.promise;
    clearInterval(timer);
    await crowd.close();
    await stage.close();
    const report = tally.report();
    const verdict = judge(report);
    screen.draw([...reportLines(report), "", ...verdictLines(report, verdict)]);
    // The judge fails a run without requests; stopping before the first one is no failure.
    return verdict.ok || report.requests === 0 ? 0 : 1;
  } finally {
    signals.release();
  }
}

function startTally({ proxyOrigin }: Stage, split: DemoSplit): { readonly tally: Tally; readonly crowd: Crowd } {
  const tally = new Tally(split);
  const crowd = new Crowd({ proxyOrigin, tally, run: randomUUID(), monotonicMs: () => performance.now() });
  return { tally, crowd };
}
