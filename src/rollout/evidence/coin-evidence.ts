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
 * Sources: Lindon, Sanden, Shirikian, Rapid regression detection in software deployments through sequential testing
 * (KDD 2022); Robbins, Statistical methods related to the law of the iterated logarithm (1970), for the mixture.
 */
export class CoinEvidence {
  readonly #effects: readonly Effect[];
  /** Logarithms of the likelihood ratios, by effect. */
  readonly #logs: Float64Array;
  #tosses = 0;
  #candidates = 0;
  #expected = 0;
  #peak = 1;

  constructor(effects: readonly Effect[]) {
    this.#effects = effects;
    this.#logs = new Float64Array(effects.length);
  }

  /** What `save` gave for the same effects. */
  static restore(saved: unknown, effects: readonly Effect[]): CoinEvidence {
    const record = savedRecord(saved);
    const logs = savedList(record["logs"], savedNumber);
    if (logs.length !== effects.length) throw new ForeignShape("other effects");
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
    const largest = Math.max(...this.#logs);
    let sum = 0;
    for (const [at, { weight }] of this.#effects.entries()) {
      sum += weight * Math.exp((this.#logs[at] ?? 0) - largest);
    }
    return Math.min(mostEvidence, Math.exp(largest + Math.log(sum)));
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
    for (const [at, effect] of this.#effects.entries()) {
      const ratio = (isCandidate ? effect.odds : 1) / (effect.odds * odds + 1 - odds);
      this.#logs[at] = (this.#logs[at] ?? 0) + Math.log(ratio);
    }
    this.#peak = Math.max(this.#peak, this.value);
  }

  save(): unknown {
    const [tosses, candidates, expected, peak] = [this.#tosses, this.#candidates, this.#expected, this.#peak];
    return { logs: [...this.#logs], tosses, candidates, expected, peak };
  }
}
