import { randomUUID } from "node:crypto";
import { StartError } from "../app/app.ts";
import { defaultWarmUp } from "../app/warm-up.ts";
import { type Command, type ExitCode, type OptionValues, type Terminal, textOption, UsageError } from "./command.ts";
import { Crowd } from "./demo/crowd.ts";

import { introduction, onceResult, reportLines, verdictLines } from "./demo/report.ts";
import { type LiveShow, runBrokenCanary, startLiveRollout } from "./demo/rollout-run.ts";

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
  usage: `[--weight PERCENT | --break-canary] [--users N] [--once [--json]]

      --weight PERCENT  a fixed share of the canary, of the users that the rule does not match, instead of a rollout;
                        with --once: default ${defaultWeight}
      --break-canary    the canary fails after a while, and is rolled back; with --once: ends then
      --users N         concurrent users; default ${defaultUsers}. With --once: total users; default ${defaultUsersOnce}
      --once            send ${requestsEachOnce} requests per user, print the result and exit
      --json            with --once: print the result as one JSON object

Everything runs on this machine and needs no file. Ctrl-C stops it; a second one stops it at once. The exit code is 1 if
the split is outside its statistical bound, a user changed versions, a request failed, or a user matched by the rule got
another version. With a rollout: if a user went back to stable without a rollback, or got the canary after one.`,
  options: {
    weight: { type: "string" },
    "break-canary": { type: "boolean" },
    users: { type: "string" },
    once: { type: "boolean" },
    json: { type: "boolean" },
  },
  async run({ options, positionals }, terminal) {
    if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`);
    const settings = readSettings(options);
    try {
      if (!settings.once) return await runLive(settings, terminal);
      return await (settings.breaks ? runBrokenCanary(settings, terminal) : runOnce(settings, terminal));
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      for (const problem of error.problems) terminal.err(`${problem}\n`);
      return 2;
    }
  },
};

interface DemoSettings {
  readonly split: DemoSplit;
  /** Whether the split holds; else the canary is rolled out. */
  readonly isFixed: boolean;
  /** Whether the canary fails after a while. */
  readonly breaks: boolean;
  readonly users: number;
  readonly once: boolean;
  readonly json: boolean;
}

function readSettings(options: OptionValues): DemoSettings {
  const once = options["once"] === true;
  const json = options["json"] === true;
  if (json && !once) throw new UsageError("--json needs --once");
  const breaks = options["break-canary"] === true;
  const isFixed = options["weight"] !== undefined;
  if (breaks && isFixed) throw new UsageError("--weight and --break-canary cannot be used together");
  const canary = numberOption(options, "weight") ?? defaultWeight;
  if (!(canary >= 0 && canary <= 100)) {
    throw new UsageError(`--weight "${options["weight"]}" is not a number from 0 to 100`);
  }
  const users = numberOption(options, "users") ?? (once && !breaks ? defaultUsersOnce : defaultUsers);
  if (!(Number.isInteger(users) && users >= 1 && users <= maxUsers)) {
    throw new UsageError(`--users "${options["users"]}" is not a whole number from 1 to ${maxUsers}`);
  }
  // Rounded, since 100 - 99.9 is not 0.1 in floating point.
  return { split: { stable: Number((100 - canary).toFixed(9)), canary }, isFixed, breaks, users, once, json };
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
async function runLive({ split, isFixed, breaks, users }: DemoSettings, terminal: Terminal): Promise<ExitCode> {
  const stopped = Promise.withResolvers<void>();
  const stop = () => stopped.resolve();
  const signals = new StopSignals({ stop, stopNow: () => process.exit(1), hangUp: stop }, terminal.env);
  try {
    const show = isFixed ? await startLiveSplit(split) : await startLiveRollout(defaultPorts, breaks);
    terminal.err(introduction(show.stage, isFixed ? split : undefined));
    const screen = new Screen(terminal);
    const footer = ["", "Ctrl-C stops."];
    const draw = () => screen.draw([...show.lines(screen.maxLines - footer.length), ...footer]);
    const timer = setInterval(draw, screen.intervalMs);
    if (terminal.isInteractive) draw();
    show.start(users);
    await stopped.promise;
    clearInterval(timer);
    const { lines, ok } = await show.end(screen.maxLines);
    screen.draw(lines);
    return ok ? 0 : 1;
  } finally {
    signals.release();
  }
}

async function startLiveSplit(split: DemoSplit): Promise<LiveShow> {
  const stage = await startStage({ split, ports: defaultPorts, warmUp: defaultWarmUp });
  const { tally, crowd } = startTally(stage, split);
  let isChanged = false;
  stage.rollouts.subscribe(({ type }) => {
    isChanged ||= type === "split";
  });
  return {
    stage,
    lines: () => reportLines(tally.report()),
    start: (users) => crowd.start(users),
    async end() {
      await crowd.close();
      await stage.close();
      const report = tally.report();
      const verdict = judge(report);
      // Who sets another split moves users, and that is no failure of the demo.
      const judged = isChanged
        ? ["the split was set by hand meanwhile, so it is not judged"]
        : verdictLines(report, verdict);
      const lines = [...reportLines(report), "", ...judged];
      // The judge fails a run without requests; stopping before the first one is no failure.
      return { lines, ok: isChanged || verdict.ok || report.requests === 0 };
    },
  };
}

function startTally({ proxyOrigin }: Stage, split: DemoSplit): { readonly tally: Tally; readonly crowd: Crowd } {
  const tally = new Tally(split);
  const crowd = new Crowd({ proxyOrigin, tally, run: randomUUID(), monotonicMs: () => performance.now() });
  return { tally, crowd };
}
