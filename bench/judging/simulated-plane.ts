import type { RolloutReport, Side, Sighting } from "../../src/observe/rollout/rollout-report.ts";

const noAnswers = { baseline: { good: 0, failed: 0 }, candidate: { good: 0, failed: 0 } };
const sides: readonly Side[] = ["baseline", "candidate"];
/** Answers without news are reported together: they change no verdict by themselves. */
const quietAnswers = 100;

/** A data plane that knows all its clients, by number, and reports as soon as an answer tells something new. */
export class SimulatedPlane {
  readonly #requests: Uint8Array;
  /** Bits of questions by client and side, and one that says it was there. */
  readonly #known: Uint8Array;
  readonly #salt: number;
  readonly #goodSince = [0, 0];
  readonly #good = [0, 0];
  readonly #failed = [0, 0];
  #quiet = 0;

  constructor(clients: number, salt: number) {
    this.#requests = new Uint8Array(clients);
    this.#known = new Uint8Array(2 * clients);
    this.#salt = salt;
  }

  /** `bad`: bits 0 and 1. Returns a report, or undefined if there is nothing to tell. */
  answer(client: number, side: 0 | 1, odds: number, bad: number): RolloutReport | undefined {
    const requests = this.#requests[client] ?? 0;
    const at = 2 * client + side;
    const known = this.#known[at] ?? 0;
    const now = known | bad | 4;
    const counts = (bad & 1) === 0 ? this.#good : this.#failed;
    counts[side] = (counts[side] ?? 0) + 1;
    this.#known[at] = now;
    if (requests < 2) this.#requests[client] = requests + 1;
    const tells = requests < 2 || now !== known;
    const goodBefore = this.#goodSince[side] ?? 0;
    if (bad === 0) this.#goodSince[side] = goodBefore + 1;
    else if (tells) this.#goodSince[side] = 0;
    if (!tells) return ++this.#quiet < quietAnswers ? undefined : this.#report([]);
    const seen = requests === 0 ? "first" : requests === 1 ? "returned" : "known";
    const [hi, lo] = [Math.imul(client ^ this.#salt, 0x9e3779b1), client];
    return this.#report([{ hi, lo, side: sides[side] ?? "baseline", odds, seen, bad, goodBefore }]);
  }

  /** Users of the candidate that met this bad answer. */
  candidatesWith(bit: 1 | 2): number {
    return this.#known.reduce((sum, bits, at) => sum + (at % 2 === 1 && (bits & bit) !== 0 ? 1 : 0), 0);
  }

  #report(sightings: readonly Sighting[]): RolloutReport {
    const of = (side: 0 | 1) => ({ good: this.#good[side] ?? 0, failed: this.#failed[side] ?? 0 });
    const drawn = { baseline: of(0), candidate: of(1) };
    this.#good.fill(0);
    this.#failed.fill(0);
    this.#quiet = 0;
    return { release: "shop", id: "simulated", sightings, drawn, placed: noAnswers, baselineDurations: [] };
  }
}
