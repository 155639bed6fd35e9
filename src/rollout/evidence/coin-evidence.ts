import { ForeignShape, savedCount, savedList, savedNumber, savedRecord } from "./saved.ts";

/** How much likelier the candidate becomes, and how much of the bet is on it. */
export interface Effect {
  readonly odds: number;
  readonly weight: number;
}

/**
 * A candidate whose units meet bad answers 1.5 to 30 times as often, or that does nothing else: a large part is on the
 * last, for there every unit counts.
 */
export const worse: readonly Effect[] = [
  ...[1.5, 2, 3, 5, 10, 30].map((odds) => ({ odds, weight: 0.12 })),
  { odds: 1_000, weight: 0.28 },
];

/** Shares that are not as drawn, in either direction. */
export const shifted: readonly Effect[] = [0.03, 0.2, 0.5, 0.8, 0.95, 1.05, 1.25, 2, 5, 30].map((odds) => ({
  odds,
  weight: 0.1,
}));

/** Beyond this more evidence says nothing more. */
const mostEvidence = 1e12;

/**
 * Tosses of known coins, each with its own odds: is the candidate's side up more often than it should be? The evidence
 * is the likelihood ratio of a mixture of effects against the coins as they are: an e-process, whose expectation is at
 * most 1 at every moment if they are. So it ever reaches `1/a` with probability `a` at most, however often one looks
 * (Ville's inequality).
 *
 * It is also a mixture of when the effect begins: half of the bet is on the first toss, the rest is spread over all later
 * ones. Otherwise hours of good answers would have to be outweighed before a candidate that goes bad late is found.
 *
 * Sources: Lindon, Sanden, Shirikian, Rapid regression detection in software deployments through sequential testing
 * (KDD 2022); Robbins, Statistical methods related to the law of the iterated logarithm (1970), for the mixture of effects; Shin,
 * Ramdas, Rinaldo, E-detectors: a nonparametric framework for sequential change detection (2024), for that of beginnings.
 */
export class CoinEvidence {
  readonly #effects: readonly Effect[];
  /** Logarithms of the likelihood ratios of those parts of the bet that have begun, by effect. */
  readonly #logs: Float64Array;
  #tosses = 0;
  #candidates = 0;
  #expected = 0;
  #peak = 1;
  /** Logarithms of one toss's ratios for the latest odds: those of most tosses are the same. */
  readonly #ofCandidate: Float64Array;
  readonly #ofBaseline: Float64Array;
  #latestOdds = Number.NaN;

  constructor(effects: readonly Effect[]) {
    this.#effects = effects;
    this.#logs = new Float64Array(effects.length).fill(Number.NEGATIVE_INFINITY);
    this.#ofCandidate = new Float64Array(effects.length);
    this.#ofBaseline = new Float64Array(effects.length);
  }

  /** What `save` gave for the same effects. */
  static restore(saved: unknown, effects: readonly Effect[]): CoinEvidence {
    const record = savedRecord(saved);
    const logs = savedList(record["logs"], savedNumber);
    if (logs.length !== (record["tosses"] === 0 ? 0 : effects.length)) throw new ForeignShape("other effects");
    const evidence = new CoinEvidence(effects);
    evidence.#logs.set(logs);
    evidence.#tosses = savedCount(record["tosses"]);
    evidence.#candidates = savedCount(record["candidates"], evidence.#tosses);
    evidence.#expected = savedNumber(record["expected"]);
    evidence.#peak = savedNumber(record["peak"]);
    return evidence;
  }

  /** How many tosses told something, and how many of them were the candidate's. */
  get tosses(): number {
    return this.#tosses;
  }

  get candidates(): number {
    return this.#candidates;
  }

  /** The candidate's share that the coins give, over all tosses; 0 to 1. */
  get odds(): number {
    return this.#tosses === 0 ? 0 : this.#expected / this.#tosses;
  }

  /** The e-value: 1 says nothing. At most 1e12. */
  get value(): number {
    if (this.#tosses === 0) return 1;
    let sum = notBegun(this.#tosses);
    for (const [at, { weight }] of this.#effects.entries()) sum += weight * Math.exp(this.#logs[at] ?? 0);
    return Math.min(mostEvidence, sum);
  }

  /** The largest e-value so far: what one would have seen by looking after every toss. */
  get peak(): number {
    return this.#peak;
  }

  /** `odds`: the probability of the candidate. A coin with two equal sides tells nothing and is skipped. */
  toss(isCandidate: boolean, odds: number): void {
    if (!(odds > 0 && odds < 1)) return;
    this.#tosses += 1;
    this.#expected += odds;
    if (isCandidate) this.#candidates += 1;
    if (odds !== this.#latestOdds) this.#prepare(odds);
    const ratios = isCandidate ? this.#ofCandidate : this.#ofBaseline;
    const beginning = notBegun(this.#tosses - 1) - notBegun(this.#tosses);
    for (let at = 0; at < ratios.length; at++) {
      this.#logs[at] = logOfSum(this.#logs[at] ?? 0, beginning) + (ratios[at] ?? 0);
    }
    this.#peak = Math.max(this.#peak, this.value);
  }

  save(): unknown {
    const [tosses, candidates, expected, peak] = [this.#tosses, this.#candidates, this.#expected, this.#peak];
    // JSON has no infinity, which is where they all begin.
    return { logs: tosses === 0 ? [] : [...this.#logs], tosses, candidates, expected, peak };
  }

  #prepare(odds: number): void {
    for (const [at, effect] of this.#effects.entries()) {
      const baseline = -Math.log(effect.odds * odds + 1 - odds);
      this.#ofBaseline[at] = baseline;
      this.#ofCandidate[at] = baseline + Math.log(effect.odds);
    }
    this.#latestOdds = odds;
  }
}

/** The part of the bet that has not begun after so many tosses: its sum telescopes, and it shrinks very slowly. */
function notBegun(tosses: number): number {
  return tosses === 0 ? 1 : 0.5 / Math.log2(tosses + 1);
}

/** The logarithm of `exp(log) + more`. */
function logOfSum(log: number, more: number): number {
  return log > 0 ? log + Math.log1p(more * Math.exp(-log)) : Math.log(Math.exp(log) + more);
}
