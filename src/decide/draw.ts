import { hashText, hashToFraction } from "./hash.ts";
import type { Weights } from "./release-spec.ts";
import type { Unit } from "./unit.ts";

/** One version's part in a draw, for `explain`. */
export interface DrawScore {
  readonly version: string;
  /** Of all units, 0 to 1. */
  readonly share: number;
  /** This unit's; the highest wins. */
  readonly score: number;
}

/**
 * Weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", SPAA 2005): of all
 * versions with weight, the unit gets the one with the highest `-weight / ln(h)`, h in (0, 1) from the unit and the
 * version's own seed. A version's score depends on no other version, so changing one weight moves units only into or out
 * of that version; only the ratios of weights matter. Nothing is stored: every replica draws alike.
 *
 * A version's seed is h1 of hashText("split", NUL, release, NUL, salt, NUL, version).
 */
export class Draw {
  readonly #versions: readonly string[];
  readonly #weights: readonly number[];
  readonly #seeds: readonly number[];

  /** Throws a RangeError where no weight is above zero, which a valid configuration never has. */
  constructor(release: string, salt: string, weights: Weights) {
    // By name, so that the order in the file cannot matter, not even in a tie.
    const drawn = Object.entries(weights)
      .filter(([, weight]) => weight > 0)
      .sort(([left], [right]) => (left < right ? -1 : 1));
    if (drawn.length === 0) throw new RangeError(`release ${release}: no version has a weight above zero`);
    this.#versions = drawn.map(([version]) => version);
    this.#weights = drawn.map(([, weight]) => weight);
    this.#seeds = this.#versions.map((version) => hashText(`split\0${release}\0${salt}\0${version}`, 0).h1);
  }

  /** Whether any unit is drawn to this version. */
  hasWeight(version: string): boolean {
    return this.#versions.includes(version);
  }

  pick(unit: Unit): string {
    let best = 0;
    // Without a rival no score decides anything, and most releases spend most of their life that way.
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
    return this.#versions[best] ?? "";
  }

  /** What `pick` compares, in its order. */
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
 * The seed of a `percent` condition. Its domain is apart from the split's, so the two are independent: a tenth by
 * `percent` holds the split's shares inside it. With an explicit seed the same units are taken wherever it is named.
 */
export function percentSeed(release: string, rule: string, seed: string | undefined): number {
  return hashText(seed === undefined ? `percent\0${release}\0${rule}` : `seed\0${seed}`, 0).h1;
}

/**
 * The seed of a release's mirror, in a domain of its own: its share holds the split's and every `percent`'s shares inside
 * it. The version is no part of it, so successive versions are tried by the same units.
 */
export function mirrorSeed(release: string, salt: string): number {
  return hashText(`mirror\0${release}\0${salt}`, 0).h1;
}

/** A unit's fixed place in [0, 100): `percent: 10` takes those below 10, so raising it only ever adds units. */
export function percentile(unit: Unit, seed: number): number {
  return hashToFraction(unit.hi, unit.lo, seed) * 100;
}
