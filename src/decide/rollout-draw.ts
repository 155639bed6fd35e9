import { type Check, compileCarriesNone, compileCondition, requesterSubjects } from "./compile-condition.ts";
import type { Facts } from "./facts.ts";
import { hashText, hashToFraction } from "./hash.ts";
import type { Pin } from "./pin-content.ts";
import type { ReleaseSpec } from "./release-spec.ts";
import type { RolloutTraffic } from "./release-traffic.ts";
import type { RingSpec } from "./rollout-spec.ts";
import type { Unit } from "./unit.ts";

/** A ring that the rollout has reached. */
export interface Ring {
  readonly key: string;
  readonly weight: number;
  /** Names the ring in pins: eight hexadecimal digits, others for another rollout. */
  readonly memory: string;
  readonly check: Check;
  /** Undefined if the condition reads no fact about the requester: then nothing is remembered. */
  readonly carriesNone: ((facts: Facts) => boolean) | undefined;
}

/**
 * The second draw of a rollout: of the units that the split gives the baseline, which get the candidate. Each unit has a
 * fixed place from 0 to 100, hashed from the rollout's id and the unit, and gets the candidate if that is below the
 * weight. So a rising weight only moves units into the candidate, other versions keep theirs, and every id draws anew.
 */
export class RolloutDraw {
  readonly baseline: string;
  readonly candidate: string;
  readonly #id: string;
  readonly #weight: number;
  /** Only those above the general weight, the highest first. */
  readonly #rings: readonly Ring[];
  readonly #seed: number;

  constructor({ name, sticky, rollout }: ReleaseSpec, traffic: RolloutTraffic) {
    const { id, baseline, candidate, weight } = traffic;
    this.baseline = baseline;
    this.candidate = candidate;
    this.#id = id;
    this.#weight = weight;
    this.#seed = hashText(`rollout\0${name}\0${sticky.salt}\0${id}`, 0).h1;
    const planned = (rollout?.steps ?? []).flatMap((step) =>
      step.kind === "weight" && step.ring !== undefined ? [step.ring] : [],
    );
    this.#rings = traffic.rings
      .filter((ring) => ring.weight > weight)
      .sort((left, right) => right.weight - left.weight)
      .flatMap((ring) => {
        const spec = planned.find(({ key }) => key === ring.key);
        return spec === undefined ? [] : [prepareRing(spec, ring.weight, name, id)];
      });
  }

  /** Whether anyone can get this version of the two. */
  hasWeight(version: string): boolean {
    if (version === this.candidate) return this.#weight > 0 || this.#rings.length > 0;
    return version === this.baseline && this.#weight < 100;
  }

  /** The ring with the highest weight that the requester is in, now or by the pin; undefined: none above the rest. */
  ringOf(facts: Facts, nowMs: number, unit: Unit, pin: Pin | undefined): Ring | undefined {
    for (const ring of this.#rings) {
      if (ring.check.holds(facts, nowMs, unit) || isRemembered(ring, facts, pin)) return ring;
    }
    return undefined;
  }

  /** In percent. */
  weightIn(ring: Ring | undefined): number {
    return ring?.weight ?? this.#weight;
  }

  pick(unit: Unit, weight: number): string {
    return this.placeOf(unit) < weight ? this.candidate : this.baseline;
  }

  /** From 0 to 100. */
  placeOf(unit: Unit): number {
    return hashToFraction(unit.hi, unit.lo, this.#seed) * 100;
  }

  describe(ring: Ring | undefined): string {
    return `rollout ${this.#id}: ${this.candidate} has ${ring === undefined ? `${this.#weight}` : `${ring.weight} in ring ${ring.key}`}`;
  }
}

function isRemembered(ring: Ring, facts: Facts, pin: Pin | undefined): boolean {
  return pin?.how === "ring" && pin.rule === ring.memory && ring.carriesNone?.(facts) === true;
}

function prepareRing({ key, when }: RingSpec, weight: number, release: string, id: string): Ring {
  const subjects = requesterSubjects(when);
  const word = hashText(`ring\0${release}\0${id}\0${key}`, 0).h1 >>> 0;
  return {
    key,
    weight,
    memory: word.toString(16).padStart(8, "0"),
    check: compileCondition(when, release, `ring ${key}`),
    carriesNone: subjects.length === 0 ? undefined : compileCarriesNone(subjects),
  };
}
