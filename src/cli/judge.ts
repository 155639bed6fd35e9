import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { RolloutSpec } from "../decide/rollout-spec.ts";
import { RolloutJudge } from "../rollout/judge.ts";
import { Replay } from "../rollout/replay/replay.ts";
import { type Command, type Terminal, textOption, UsageError } from "./command.ts";
import { count, describeJudgement, lineSentence } from "./judge/describe.ts";
import { type Judgement, judgementOf, replayedChecks } from "./judge/judgement.ts";
import { openLog, type ReadingEnd, readLines } from "./judge/log-lines.ts";
import { configOption, configPath, loadOrTell, printJson } from "./load-config.ts";

export const judge: Command = {
  usage: `-c FILE --release R [--json] LOG|-

  -c, --config FILE  the configuration with the rollout, also kubernetes://…; default: PERCH_CONFIG
      --release R    the release whose rollout is judged
      --json         print one JSON object
  LOG                an access log of Perch, one JSON object per line, plain or gzip; -: standard input

Replays the log by its timestamps, and stops reading when a check fails. Exit code: 0 pass or not enough data, 1 fail,
2 wrong usage or a log that cannot be used.`,
  options: { ...configOption, release: { type: "string" }, json: { type: "boolean" } },
  async run({ options, positionals }, terminal) {
    const log = readLog(positionals);
    const name = textOption(options, "release");
    if (name === undefined || name === "") throw new UsageError("no release: pass --release R");
    const loaded = await loadOrTell(configPath(options, terminal), terminal);
    if (loaded === undefined) return 2;
    const spec = rolloutOf(loaded.compiled.releases, name);
    const rolloutJudge = new RolloutJudge(spec, undefined);
    const replay = new Replay(name, spec, rolloutJudge);
    const end = await readInto(replay, log, terminal);
    if (end === undefined) return 2;
    const judgement = judgementOf(name, spec, replay, rolloutJudge);
    tellReading(end, log, terminal);
    if (replay.requests === 0) {
      terminal.err(`perch judge: ${noLines(name, log, replay)}\n`);
      return 2;
    }
    tellLimits(judgement, spec, replay, terminal);
    if (options["json"] === true) printJson(judgement, terminal);
    else terminal.out(describeJudgement(judgement, spec, replay, rolloutJudge.users));
    return judgement.verdict === "fail" ? 1 : 0;
  },
};

function readLog(positionals: readonly string[]): string {
  const [log, surplus] = positionals;
  if (log === undefined) throw new UsageError("no access log to judge: pass its path, or - for the standard input");
  if (surplus !== undefined) {
    throw new UsageError(`unexpected argument "${surplus}": for several logs, pass - and pipe them in, oldest first`);
  }
  return log;
}

function rolloutOf(releases: readonly ReleaseSpec[], name: string): RolloutSpec {
  const rollout = releases.find((release) => release.name === name)?.rollout;
  if (rollout !== undefined) return rollout;
  const isKnown = releases.some((release) => release.name === name);
  const having = releases.filter((release) => release.rollout !== undefined).map((release) => release.name);
  const problem = isKnown ? `release "${name}" has no rollout` : `there is no release "${name}"`;
  const others = having.length === 0 ? "no release of this configuration has one" : `with one: ${having.join(", ")}`;
  throw new UsageError(`${problem}; ${others}`);
}

/** Undefined if nothing could be read; the reason is then already printed. */
async function readInto(replay: Replay, log: string, terminal: Terminal): Promise<ReadingEnd | undefined> {
  try {
    return await readLines(openLog(log), (line) => replay.take(line));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    terminal.err(`perch judge: the log cannot be read: ${why}\n`);
    return undefined;
  }
}

function tellReading(end: ReadingEnd, log: string, terminal: Terminal): void {
  if (end.kind !== "cut") return;
  const what = end.isGzip ? "is cut or damaged gzip" : "could not be read to its end";
  const name = log === "-" ? "the standard input" : log;
  terminal.err(`perch judge: ${name} ${what} (${end.why}); the lines before that are judged\n`);
}

function noLines(release: string, log: string, { counts }: Replay): string {
  const name = log === "-" ? "the standard input" : log;
  return `${name} has no requests of release "${release}". ${lineSentence(counts)}
Pass the access log that Perch writes with accessLog: JSON lines with time, release, version, reason and status.`;
}

/** What the judgement does not rest on, or rests on with less than Perch logs today. */
function tellLimits(judgement: Judgement, spec: RolloutSpec, { counts }: Replay, terminal: Terminal): void {
  const external = spec.checks.filter((check) => !replayedChecks(spec).includes(check));
  const tell = (text: string): void => terminal.err(`perch judge: ${text}\n`);
  if (external.length > 0) {
    tell(`not replayed, since a log cannot answer them: ${external.map(({ name }) => name).join(", ")}`);
  }
  if (counts.judgedByPlan > 0) {
    const rings = spec.steps.some((step) => step.kind === "weight" && step.ring !== undefined);
    const but = rings ? "; who was in a ring is not known, and rings are judged by the general weight" : "";
    tell(`${count(counts.judgedByPlan)} lines without odds are judged by the plan's weight at their time${but}`);
  }
  if (counts.judgedWithoutUnit > 0) {
    tell(
      `${count(counts.judgedWithoutUnit)} lines without unit count as one user each, so one broken client counts as many users`,
    );
  }
  const drifts = judgement.checks.some(({ metric, verdict }) => metric === "drift" && verdict === "fail");
  // Without units a client's requests are not independent, and look like drift.
  if (counts.judgedByPlan > counts.judgedWithoutUnit && drifts) {
    tell(
      "the shares in the log differ from the plan's, so the verdict is unreliable: set the steps to those of that time",
    );
  }
}
