/** `npm run bench:judge`: what the judge of rollouts finds, and what it cries wolf at, beside what others do. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Scenario, scenariosOf } from "./judging/scenarios.ts";
import { clientCount, type JudgeName, judgeNames, type Outcome, simulate } from "./judging/simulate.ts";

const usage = `Usage: node bench/judge-main.ts [options]

      --quick        a smoke run of a few seconds; its figures mean little
      --rollouts N   simulated rollouts in which nothing changed, of each kind; default 1000. Regressions: a fifth
      --requests N   answers in each rollout; default 20000
      --json FILE    write the results there, too
  -h, --help`;

const falseAlarm = 0.01;
const titles: Readonly<Record<JudgeName, string>> = {
  perch: "Perch",
  threshold: "over 2 % in 3 windows (Argo, Flagger)",
  "z-test": "z-test every 500",
  "mann-whitney": "Mann-Whitney every 500 (Kayenta)",
};
const sources = [
  "Argo Rollouts: AnalysisTemplate `failureLimit`; Flagger: `analysis.threshold`; Kayenta: NetflixACAJudge",
  "Lindon, Sanden, Shirikian, Rapid regression detection in software deployments through sequential testing (KDD 2022)",
  "Howard, Ramdas, McAuliffe, Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences (2021)",
];

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rollouts: { type: "string" },
    requests: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

const say = (text: string) => void process.stdout.write(`${text}\n`);

interface Result {
  readonly scenario: string;
  readonly isWorse: boolean;
  readonly rollouts: number;
  readonly judges: Readonly<Record<JudgeName, JudgeResult>>;
}

/** `share`: of rollouts that were rolled back. Medians are of those. */
interface JudgeResult {
  readonly share: number;
  readonly medianRequests: number | null;
  readonly medianBadUsers: number | null;
  /** Of rollouts in a row: the share of rows with two false rollbacks or more. */
  readonly repeated: number | null;
}

function main(): void {
  if (values.help) {
    say(usage);
    return;
  }
  const rollouts = count("rollouts", values.rollouts, values.quick ? 20 : 1_000);
  const requests = count("requests", values.requests, values.quick ? 5_000 : 20_000);
  const startedMs = performance.now();
  const results = scenariosOf(rollouts).map((scenario) => {
    process.stderr.write(`${scenario.name} …\n`);
    const outcomes = Array.from({ length: scenario.rollouts }, (_, at) =>
      simulate(scenario, at, { requests, falseAlarm }),
    );
    return resultOf(scenario, outcomes);
  });
  const tookMs = performance.now() - startedMs;
  say(
    tableOf(
      results.filter(({ isWorse }) => !isWorse),
      falseText,
      "nothing changed: rolled back",
    ),
  );
  say("");
  say(
    tableOf(
      results.filter(({ isWorse }) => isWorse),
      foundText,
      "worse: found, median requests, median bad users",
    ),
  );
  say("");
  say(
    `${requests} answers a rollout, ${clientCount} clients, falseAlarm ${falseAlarm}; ${Math.round(tookMs / 1_000)} s`,
  );
  if (values.json === undefined) return;
  const settings = { rollouts, requests, clients: clientCount, falseAlarm };
  writeFileSync(values.json, `${JSON.stringify({ settings, tookMs, results, sources }, null, 2)}\n`);
}

function resultOf({ name, isWorse, series }: Scenario, outcomes: readonly Outcome[]): Result {
  const judge = (judgeName: JudgeName) => {
    const found = outcomes.flatMap((outcome) => outcome[judgeName] ?? []);
    return {
      share: found.length / outcomes.length,
      medianRequests: median(found.map(({ requests }) => requests)),
      medianBadUsers: median(found.map(({ badUsers }) => badUsers)),
      repeated: series === undefined ? null : repeatedShare(outcomes, judgeName, series.length),
    };
  };
  const judges = Object.fromEntries(judgeNames.map((each) => [each, judge(each)])) as Result["judges"];
  return { scenario: name, isWorse, rollouts: outcomes.length, judges };
}

function repeatedShare(outcomes: readonly Outcome[], name: JudgeName, length: number): number {
  const rows = Array.from({ length: Math.ceil(outcomes.length / length) }, (_, row) => {
    return outcomes.slice(row * length, (row + 1) * length).filter((outcome) => outcome[name] !== undefined).length;
  });
  return rows.filter((rollbacks) => rollbacks >= 2).length / rows.length;
}

function median(numbers: readonly number[]): number | null {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? null;
}

function tableOf(results: readonly Result[], text: (found: JudgeResult) => string, title: string): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const header = [title, ...judgeNames.map((name) => titles[name])];
  const rows = results.map(({ scenario, judges }) => line([scenario, ...judgeNames.map((name) => text(judges[name]))]));
  return [line(header), line(header.map((_, column) => (column === 0 ? "---" : "---:"))), ...rows].join("\n");
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function falseText({ share, repeated }: JudgeResult): string {
  return repeated === null ? percent(share) : `${percent(share)}; twice or more in ${percent(repeated)} of rows`;
}

function foundText({ share, medianRequests, medianBadUsers }: JudgeResult): string {
  if (medianRequests === null) return percent(share);
  return `${percent(share)}, ${medianRequests.toLocaleString("en-US")}, ${medianBadUsers}`;
}

function count(name: string, text: string | undefined, standard: number): number {
  if (text === undefined) return standard;
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new Error(`--${name} must be a number from 1 to 99999999, not ${text}`);
  return Number(text);
}

main();
