/** A rollout that is simulated many times: who comes, what fails on which version, and how the share rises. */
export interface Scenario {
  readonly name: string;
  /** Whether the candidate is worse: then it should be found, else every rollback is a false one. */
  readonly isWorse: boolean;
  /** What the judges beside ours look at. */
  readonly metric: "errors" | "slow";
  readonly rollouts: number;
  readonly clients: Clients;
  /** The probabilities of a failure and of a slow answer to an ordinary client, at a moment from 0 to 1. */
  readonly rates: (moment: number) => Readonly<Record<"baseline" | "candidate", Rates>>;
  /** The candidate's share at a moment from 0 to 1. */
  readonly share: (moment: number) => number;
  /** How many rollouts in a row have the same clients; undefined: each has its own. */
  readonly series?: { readonly length: number; readonly isSalted: boolean };
}

export interface Rates {
  readonly errors: number;
  readonly slow: number;
}

export interface Clients {
  /** The share of clients that make 10 times as many requests. */
  readonly heavy: number;
  /** The share of those that fail by themselves, on either version, and how often. */
  readonly broken: number;
  readonly brokenErrors: number;
}

const alike: Clients = { heavy: 0, broken: 0, brokenErrors: 0 };
/** Together with 0.4 % of errors of all others: 1 % of all answers. */
const someBroken: Clients = { heavy: 0.02, broken: 1 / 3, brokenErrors: 0.11 };

const tenth = () => 0.1;
const steps = (moment: number) => (moment < 1 / 3 ? 0.05 : moment < 2 / 3 ? 0.2 : 0.5);
/** Four hours of which each is another one. */
const hourly = (moment: number) => [0.004, 0.02, 0.001, 0.01][Math.floor(4 * moment)] ?? 0.01;

const slowRate = 0.01;
/**
 * Durations are log-normal, with a median of 50 ms and a p99 of 321 ms: σ = 0.8. With the same median and twice the p99,
 * σ is 1.098, and this share is above the old p99: 1 − Φ(2.326 · 0.8 / 1.098).
 */
const slowAtTwiceP99 = 0.0451;

const same = (errors: number) => {
  const rates = { errors, slow: slowRate };
  return { baseline: rates, candidate: rates };
};
const worse = (before: number, after: number) => ({
  baseline: { errors: before, slow: slowRate },
  candidate: { errors: after, slow: slowRate },
});

/** `rollouts`: of each scenario in which nothing changed; a regression is simulated a fifth as often. */
export function scenariosOf(rollouts: number): readonly Scenario[] {
  const equal = { isWorse: false, metric: "errors", rollouts } as const;
  const series = (isSalted: boolean) => ({ length: 10, isSalted });
  const regression = { isWorse: true, metric: "errors", rollouts: Math.ceil(rollouts / 5), clients: alike } as const;
  const fixed = (before: number, after: number) => () => worse(before, after);
  const broken = { clients: someBroken, rates: () => same(0.004) };
  return [
    { ...equal, name: "A/A, independent failures (1 %)", clients: alike, rates: () => same(0.01), share: tenth },
    { ...equal, name: "A/A, broken heavy clients (1 % in all)", ...broken, share: tenth },
    { ...equal, name: "A/A, errors change by the hour", clients: alike, rates: (at) => same(hourly(at)), share: tenth },
    { ...equal, name: "A/A, broken clients, share 5, 20, 50 %", ...broken, share: steps },
    {
      ...{ ...equal, name: "A/A, by the hour, share 5, 20, 50 %" },
      ...{ clients: someBroken, rates: (at) => same(hourly(at)), share: steps },
    },
    { ...equal, name: "A/A, ten in a row, salted by id", ...broken, share: tenth, series: series(true) },
    { ...equal, name: "A/A, ten in a row, same draw", ...broken, share: tenth, series: series(false) },
    { ...regression, name: "errors 1 → 3 %", rates: fixed(0.01, 0.03), share: tenth },
    { ...regression, name: "errors 1 → 10 %", rates: fixed(0.01, 0.1), share: tenth },
    { ...regression, name: "errors 0.1 → 1 %", rates: fixed(0.001, 0.01), share: tenth },
    {
      ...{ ...regression, name: "p99 × 2", metric: "slow", share: tenth },
      rates: () => ({
        baseline: { errors: 0.001, slow: slowRate },
        candidate: { errors: 0.001, slow: slowAtTwiceP99 },
      }),
    },
    { ...regression, name: "errors 1 → 100 %", rates: fixed(0.01, 1), share: tenth },
    {
      ...{ ...regression, name: "errors 1 → 10 %, after half of the time", share: tenth },
      rates: (at) => worse(0.01, at < 0.5 ? 0.01 : 0.1),
    },
  ];
}
