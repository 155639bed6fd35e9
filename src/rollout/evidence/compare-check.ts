import type { CheckSpec } from "../../decide/rollout-spec.ts";
import type { Finding, Judged, Seen, Verdict } from "./judged.ts";
import { badUnits, type Question } from "./questions.ts";
import { badText, countText, evidenceText, percentText } from "./words.ts";

/** Both sides need as many drawn users before a check passes. */
const enoughUsers = 50;

/** Are the units that meet a bad answer on the candidate more often than drawn? */
export class CompareCheck implements Judged {
  readonly key: string;
  readonly acts = true;
  readonly isShown = "always";
  readonly #spec: Extract<CheckSpec, { kind: "compare" }>;
  readonly #seen: Seen;
  readonly #question: Question;
  readonly #limit: number;

  /** `limit`: the e-value that fails it. */
  constructor(spec: Extract<CheckSpec, { kind: "compare" }>, seen: Seen, limit: number) {
    this.key = JSON.stringify(spec);
    this.#spec = spec;
    this.#seen = seen;
    this.#question = seen.questions.of(spec);
    this.#limit = limit;
  }

  get name(): string {
    return this.#spec.name;
  }

  get metric(): "errors" | "slow" {
    return this.#spec.metric;
  }

  verdict(): Verdict {
    if (this.#question.coin.peak >= this.#limit) return "fail";
    const { users, questions } = this.#seen;
    const isAsked = questions.missingAnswers(this.#spec) === 0;
    const isEnough = users.count("candidate") >= enoughUsers && users.count("baseline") >= enoughUsers;
    return isAsked && isEnough ? "pass" : "not-enough-data";
  }

  finding(verdict: Verdict): Finding {
    const { users } = this.#seen;
    const { coin } = this.#question;
    return {
      baseline: { users: users.count("baseline"), bad: badUnits(this.#question, "baseline") },
      candidate: { users: users.count("candidate"), bad: badUnits(this.#question, "candidate") },
      evidence: verdict === "fail" ? coin.peak : coin.value,
      limit: this.#limit,
      interval: null,
      why: `${this.#tosses()}${this.#sampled()}: ${this.#conclusion(verdict)}`,
    };
  }

  #tosses(): string {
    const { coin } = this.#question;
    const bad = badText(this.#spec, this.#seen.questions.limitMs(this.#spec));
    if (coin.tosses === 0) return `no user met ${bad} yet`;
    const which = `${this.#seen.candidate}, which has ${percentText(coin.odds)} of users`;
    if (coin.tosses === 1) return `the one user who met ${bad} was ${coin.candidates === 1 ? "" : "not "}on ${which}`;
    const were = coin.candidates === 1 ? "was" : "were";
    return `${countText(coin.candidates)} of the ${countText(coin.tosses)} users who met ${bad} ${were} on ${which}`;
  }

  #sampled(): string {
    const { oneOf } = this.#question.units;
    return oneOf === 1 ? "" : ` (too many to tell apart: of the later ones only one of ${countText(oneOf)} is judged)`;
  }

  #conclusion(verdict: Verdict): string {
    const { coin } = this.#question;
    const limit = evidenceText(this.#limit);
    if (verdict === "fail") return `the evidence is ${evidenceText(coin.peak)}, and it fails at ${limit}`;
    const evidence = `evidence ${evidenceText(coin.value)}, it fails at ${limit}`;
    if (verdict === "pass") return `no proof that it is worse (${evidence})`;
    const missing = this.#seen.questions.missingAnswers(this.#spec);
    const { baseline, candidate } = this.#seen;
    const waits =
      missing > 0
        ? `it waits for ${countText(missing)} more answers of ${baseline}, whose p95 is the limit`
        : `it waits for users: ${candidate} had ${this.#of("candidate")}, ${baseline} ${this.#of("baseline")}`;
    return `${waits} (${evidence})`;
  }

  #of(side: "baseline" | "candidate"): string {
    return `${countText(this.#seen.users.count(side))} of ${enoughUsers}`;
  }
}
