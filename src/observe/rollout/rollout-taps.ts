import type { TrafficByRelease } from "../../decide/release-traffic.ts";
import type { BadAnswerQuestions } from "./rollout-report.ts";
import { RolloutTap, type RolloutTapParts } from "./rollout-tap.ts";

/** By release: what its rollout asks of each answer. */
export type QuestionsByRelease = ReadonlyMap<string, BadAnswerQuestions>;

/** What a data plane does for rollouts: who gets which version, and what is asked of the answers. Cloneable. */
export interface Directions {
  readonly traffic: TrafficByRelease;
  readonly questions: QuestionsByRelease;
}

export const noDirections: Directions = Object.freeze({ traffic: new Map(), questions: new Map() });

/** Where the requests of a release find the tap of the rollout that runs now, if one does. */
export interface TapSlot {
  current: RolloutTap | undefined;
}

/** The taps of one data plane. They outlive the snapshots, so that a reload forgets no unit. */
export class RolloutTaps {
  readonly #parts: RolloutTapParts;
  /** By release. */
  readonly #slots = new Map<string, TapSlot>();

  constructor(parts: RolloutTapParts) {
    this.#parts = parts;
  }

  slot(release: string): TapSlot {
    const known = this.#slots.get(release);
    if (known !== undefined) return known;
    const slot: TapSlot = { current: undefined };
    this.#slots.set(release, slot);
    return slot;
  }

  /** Only rollouts that draw and whose questions are known have a tap. A request keeps the tap that it began with. */
  direct({ traffic, questions }: Directions): void {
    for (const release of new Set([...this.#slots.keys(), ...traffic.keys()])) {
      const slot = this.slot(release);
      const rollout = traffic.get(release)?.rollout;
      const asked = questions.get(release);
      if (rollout?.candidateIs !== "drawn" || asked === undefined) {
        slot.current?.close();
        slot.current = undefined;
      } else if (slot.current?.direct(rollout, asked) !== true) {
        slot.current?.close();
        slot.current = new RolloutTap(release, rollout, asked, this.#parts);
      }
    }
  }

  close(): void {
    this.direct(noDirections);
  }
}

/** For commands that serve no requests. */
export function unwatchedTaps(): RolloutTaps {
  return new RolloutTaps({ handOver: () => {}, schedule: () => () => {}, seed: 0 });
}
