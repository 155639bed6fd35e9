import type { RolloutSpec } from "../../src/decide/rollout-spec.ts";
import { RolloutJudge } from "../../src/rollout/judge.ts";
import { MannWhitney, type Rival, ThresholdRule, ZTest } from "./rivals.ts";
import type { Clients, Scenario } from "./scenarios.ts";
import { seededNumbers, seedOf } from "./seeded-numbers.ts";
import { SimulatedPlane } from "./simulated-plane.ts";

export const clientCount = 2_000;
const heavyFactor = 10;

export const judgeNames = ["perch", "threshold", "z-test", "mann-whitney"] as const;
export type JudgeName = (typeof judgeNames)[number];

/** Where a judge rolled back: after so many answers, when so many of the candidate's users had met a bad one. */
export interface Found {
  readonly requests: number;
  readonly badUsers: number;
}

/** By judge; undefined: it never rolled back. */
export type Outcome = Readonly<Record<JudgeName, Found | undefined>>;

export interface Length {
  readonly requests: number;
  readonly falseAlarm: number;
}

/** The judge under test has two checks, as a usual plan has. */
function specOf(falseAlarm: number): RolloutSpec {
  return {
    ...{ id: "simulated", baseline: "stable", candidate: "canary", start: "auto", command: "run" },
    ...{ steps: [{ kind: "pause" }], afterLastStep: "complete", failures: new Set([500]), falseAlarm },
    ...{ onFail: "rollback", drift: "warn", notify: [], candidateEndpoints: [] },
    checks: [
      { kind: "compare", name: "errors", metric: "errors", over: undefined },
      { kind: "compare", name: "slow", metric: "slow", over: 321 },
    ],
    caps: { users: undefined, failures: undefined, requestsPerSecond: undefined },
  };
}

/** One rollout, watched after every answer by all judges at once. */
export function simulate(scenario: Scenario, rollout: number, { requests, falseAlarm }: Length): Outcome {
  const { series } = scenario;
  const population = series === undefined ? rollout : Math.floor(rollout / series.length);
  const drawSeed = series?.isSalted === false ? seedOf(2, population) : seedOf(3, rollout);
  const draws = Float64Array.from({ length: clientCount }, seededNumbers(drawSeed));
  const { pick, isBroken } = populationOf(scenario.clients, seededNumbers(seedOf(1, population)));
  const random = seededNumbers(seedOf(4, rollout));
  const plane = new SimulatedPlane(clientCount, rollout);
  const judge = new RolloutJudge(specOf(falseAlarm), undefined);
  const rivals: readonly (readonly [JudgeName, Rival])[] = [
    ["threshold", new ThresholdRule()],
    ["z-test", new ZTest()],
    ["mann-whitney", new MannWhitney()],
  ];
  const found: Partial<Record<JudgeName, Found>> = {};
  const bit = scenario.metric === "errors" ? 1 : 2;
  const note = (name: JudgeName, answers: number) => {
    found[name] ??= { requests: answers, badUsers: plane.candidatesWith(bit) };
  };
  for (let answers = 1; answers <= requests; answers++) {
    const moment = (answers - 1) / requests;
    const client = pick(random());
    const odds = scenario.share(moment);
    const side = (draws[client] ?? 1) < odds ? 1 : 0;
    const rates = scenario.rates(moment)[side === 1 ? "candidate" : "baseline"];
    const errors = isBroken(client) ? scenario.clients.brokenErrors : rates.errors;
    const bad = (random() < errors ? 1 : 0) | (random() < rates.slow ? 2 : 0);
    const report = plane.answer(client, side, odds, bad);
    if (found.perch === undefined && report !== undefined && judge.report(report, answers) !== undefined) {
      note("perch", answers);
    }
    for (const [name, rival] of rivals) {
      if (found[name] === undefined && rival.answer(side === 1, (bad & bit) !== 0)) note(name, answers);
    }
    if (judgeNames.every((name) => found[name] !== undefined)) break;
  }
  const { perch, threshold } = found;
  return { perch, threshold, "z-test": found["z-test"], "mann-whitney": found["mann-whitney"] };
}

/** The first clients are the heavy ones, and the first of those the broken ones. */
function populationOf({ heavy, broken }: Clients, random: () => number) {
  // How many are broken is luck, too.
  const heavyCount = Math.round(heavy * clientCount);
  const brokenOnes = Array.from({ length: heavyCount }, () => random() < broken);
  const heavyShare = (heavyCount * heavyFactor) / (heavyCount * heavyFactor + clientCount - heavyCount);
  return {
    isBroken: (client: number): boolean => brokenOnes[client] === true,
    /** A client by a number in [0, 1). */
    pick(number: number): number {
      if (number < heavyShare) return Math.floor((number / heavyShare) * heavyCount);
      return heavyCount + Math.floor(((number - heavyShare) / (1 - heavyShare)) * (clientCount - heavyCount));
    },
  };
}
