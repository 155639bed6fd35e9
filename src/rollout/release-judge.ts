import type { RolloutSpec } from "../decide/rollout-spec.ts";
import type { BadAnswerQuestions, RolloutReport } from "../observe/rollout/rollout-report.ts";
import type { Judge } from "./controller-parts.ts";
import { ExternalChecks, type ExternalChecksParts } from "./external/external-checks.ts";
import { RolloutJudge } from "./judge.ts";
import type { CheckResult } from "./rollout-state.ts";

/** Judges by what planes report and by what others say: `RolloutJudge` with the checks that ask others. */
export class ReleaseJudge implements Judge {
  readonly #spec: RolloutSpec;
  readonly #seen: RolloutJudge;
  readonly #asked: ExternalChecks;

  /** `saved`: what an earlier judge of the same rollout saved; undefined for a new one. */
  constructor(release: string, spec: RolloutSpec, saved: unknown, parts: ExternalChecksParts) {
    this.#spec = spec;
    this.#seen = new RolloutJudge(spec, saved);
    this.#asked = new ExternalChecks({ release, rollout: spec.id }, spec.checks, parts);
  }

  report(report: RolloutReport, nowMs: number): CheckResult | undefined {
    return this.#seen.report(report, nowMs);
  }

  /** The latest failure: one that an operator has seen and resumed after does not hide a newer one. */
  look(nowMs: number): CheckResult | undefined {
    let latest = this.#seen.look(nowMs);
    for (const result of this.#asked.results()) {
      const isLater = latest === undefined || (result.atMs ?? 0) > (latest.atMs ?? 0);
      if (result.verdict === "fail" && isLater) latest = result;
    }
    return latest;
  }

  beginStep(step: number): void {
    this.#seen.beginStep();
    if (step === 0) this.#asked.begin();
  }

  mayBegin(step: number): boolean {
    return this.#asked.mayBegin(step);
  }

  questions(): BadAnswerQuestions {
    return this.#seen.questions();
  }

  /** In the order of the plan, then the built-in ones. */
  checks(): readonly CheckResult[] {
    const results = [...this.#seen.checks(), ...this.#asked.results()];
    const planned = this.#spec.checks.map(({ name }) => name);
    const place = ({ name }: CheckResult) => (planned.includes(name) ? planned.indexOf(name) : planned.length);
    return results.sort((left, right) => place(left) - place(right));
  }

  get users(): Judge["users"] {
    return this.#seen.users;
  }

  get stepUsers(): Judge["stepUsers"] {
    return this.#seen.stepUsers;
  }

  get drawn(): Judge["drawn"] {
    return this.#seen.drawn;
  }

  get placed(): Judge["placed"] {
    return this.#seen.placed;
  }

  save(): unknown {
    return this.#seen.save();
  }

  close(): void {
    void this.#asked.close();
  }
}
