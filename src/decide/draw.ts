import { hashText, hashToFraction } from "./hash.ts";
import type { Weights } from "./release-spec.ts";
import type { Unit } from "./unit.ts";

/** What draws give a unit. */
export interface Drawn {
  readonly version: string;
  /** What names the rollout's ring in the pin, if one gave the weight and is remembered. */
  readonly ring: string | undefined;
  /** As in `Decision`. */
  readonly odds: number | undefined;
}

/** A version's score in a draw, for `explain`. */
export interface DrawScore {
  readonly version: string;
  /** Share of all units, 0 to 1. */
  readonly share: number;
  /** For this unit; the highest wins. */
  readonly score: number;
}

/**
 * Weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", SPAA 2005): of all
 * versions with weight, the unit gets the one with the highest `-weight / ln(h)`, where h in (0, 1) is hashed from the
 * unit and the version's seed. A version's score depends on no other version, so changing one weight moves units only
 * into or out of that version; only the ratios of weights matter. There is no state: every replica draws the same.
 *
 * A version's seed is h1 of hashText("split", NUL, release, NUL, salt, NUL, version).
 */
export class Draw {
  readonly #versions: readonly string[];
  readonly #weights: readonly number[];
  readonly #seeds: readonly number[];
  readonly #drawn: readonly Drawn[];

  /** Throws a RangeError if no weight is above zero; a valid configuration has one. */
  constructor(release: string, salt: string, weights: Weights) {
    // Sorted by name, so that the order in the file does not even decide ties.
    const drawn = Object.entries(weights)
      .filter(([, weight]) => weight > 0)
      .sort(([left], [right]) => (left < right ? -1 : 1));
    if (drawn.length === 0) throw new RangeError(`release ${release}: no version has a weight above zero`);
    this.#versions = drawn.map(([version]) => version);
    this.#weights = drawn.map(([, weight]) => weight);
    this.#drawn = this.#versions.map((version) => ({ version, ring: undefined, odds: undefined }));
    this.#seeds = this.#versions.map((version) => hashText(`split\0${release}\0${salt}\0${version}`, 0).h1);
  }

  hasWeight(version: string): boolean {
    return this.#versions.includes(version);
  }

  pick(unit: Unit): string {
    return this.#drawn[this.#pick(unit)]?.version ?? "";
  }

  /** Like `pick`, as what a draw gives a unit where no rollout goes on from it. */
  pickDrawn(unit: Unit): Drawn {
    return this.#drawn[this.#pick(unit)] as Drawn;
  }

  #pick(unit: Unit): number {
    let best = 0;
    // With one version, the state of most releases most of the time, no score is needed.
    if (this.#versions.length > 1) {
      let bestScore = 0;
      for (let at = 0; at < this.#versions.length; at++) {
        const score = this.#score(at, unit);
        if (score > bestScore) {
          best = at;
          bestScore = score;
        }
      }
    }
    return best;
  }

  /** The version with the largest share; of several, `preferred` if it is one of them. */
  largest(preferred: string): string {
    const most = Math.max(...this.#weights);
    const candidates = this.#versions.filter((_, at) => this.#weights[at] === most);
    return candidates.includes(preferred) ? preferred : (candidates[0] ?? preferred);
  }

  /** The scores that `pick` compares. */
  scores(unit: Unit): DrawScore[] {
    const sum = this.#weights.reduce((total, weight) => total + weight, 0);
    return this.#versions.map((version, at) => ({
      version,
      share: (this.#weights[at] ?? 0) / sum,
      score: this.#score(at, unit),
    }));
  }

  #score(at: number, unit: Unit): number {
    return -(this.#weights[at] ?? 0) / Math.log(hashToFraction(unit.hi, unit.lo, this.#seeds[at] ?? 0));
  }
}

/**
 * The seed of a `percent` condition. Its hash domain differs from the split's, so the two are independent: among the
 * units of a `percent` the split has its usual shares. The same explicit seed selects the same units everywhere.
 */
export function percentSeed(release: string, rule: string, seed: string | undefined): number {
  return hashText(seed === undefined ? `percent\0${release}\0${rule}` : `seed\0${seed}`, 0).h1;
}

/**
 * The seed of a release's mirror, in its own hash domain: independent of the split and of every `percent`. It does not
 * include the version, so successive versions get the mirrored requests of the same units.
 */
export function mirrorSeed(release: string, salt: string): number {
  return hashText(`mirror\0${release}\0${salt}`, 0).h1;
}

/** A unit's fixed position in [0, 100): `percent: 10` selects those below 10, so raising it only adds units. */
export function percentile(unit: Unit, seed: number): number {
  return hashToFraction(unit.hi, unit.lo, seed) * 100;
}
