import type { CheckSpec } from "../../decide/rollout-spec.ts";
import type { CheckResult } from "../rollout-state.ts";
import { Asking, type ExternalCheckParts, externalResult } from "./external-check.ts";
import { readPrometheusValue } from "./prometheus-value.ts";

export type PrometheusCheckSpec = Extract<CheckSpec, { readonly kind: "prometheus" }>;

/** Compares the value of a query with its limits. Only values fail the candidate: that there is none is no evidence. */
export class PrometheusCheck {
  readonly #spec: PrometheusCheckSpec;
  readonly #parts: ExternalCheckParts;
  readonly #asking: Asking;
  #badInARow = 0;
  #result: CheckResult;

  constructor(spec: PrometheusCheckSpec, parts: ExternalCheckParts) {
    this.#spec = spec;
    this.#parts = parts;
    this.#result = this.#unanswered();
    this.#asking = new Asking(parts.schedule, spec.everyMs, () => this.#ask());
  }

  get result(): CheckResult {
    return this.#result;
  }

  /** Forgets the values so far. */
  begin(): void {
    this.#badInARow = 0;
    this.#result = this.#unanswered();
  }

  stop(): void {
    this.#asking.stop();
  }

  #unanswered(): CheckResult {
    return this.#resultOf("not-enough-data", "the query has not been answered yet", null);
  }

  async #ask(): Promise<"again"> {
    const { url, query } = this.#spec;
    const posted = await this.#parts.poster.post({
      url: `${url.replace(/\/+$/, "")}/api/v1/query`,
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
      body: new URLSearchParams({ query }).toString(),
    });
    if (this.#asking.isStopped) return "again";
    const read =
      posted.kind === "failed"
        ? ({ kind: "none", why: posted.why } as const)
        : readPrometheusValue(posted.status, posted.text);
    this.#result = read.kind === "none" ? this.#without(read.why) : this.#with(read.value);
    this.#parts.changed();
    return "again";
  }

  /** Values that were bad before still count: a gap among them is not a good one. */
  #without(why: string): CheckResult {
    return this.#resultOf("not-enough-data", `the query gave no value: ${why}`, null);
  }

  #with(value: number): CheckResult {
    const { atLeast, atMost, failures } = this.#spec;
    const problem = problemOf(value, atLeast, atMost);
    this.#badInARow = problem === undefined ? 0 : this.#badInARow + 1;
    if (problem === undefined) return this.#resultOf("pass", `${value} is within the limits`, value);
    const isFailed = this.#badInARow >= failures;
    const count = `${this.#badInARow} bad ${this.#badInARow === 1 ? "value" : "values"} in a row, ${failures} fail`;
    return this.#resultOf(isFailed ? "fail" : "not-enough-data", `${problem} (${count})`, value);
  }

  #resultOf(verdict: CheckResult["verdict"], why: string, value: number | null): CheckResult {
    const { name, atLeast, atMost } = this.#spec;
    const isAbove = value !== null && atMost !== undefined && value > atMost;
    const limit = (isAbove ? atMost : (atLeast ?? atMost)) ?? null;
    const fields = { name, metric: "prometheus", verdict, why, evidence: value, limit } as const;
    return externalResult(fields, this.#result, this.#parts.nowMs());
  }
}

function problemOf(value: number, atLeast: number | undefined, atMost: number | undefined): string | undefined {
  if (atLeast !== undefined && value < atLeast) return `${value} is below ${atLeast}`;
  if (atMost !== undefined && value > atMost) return `${value} is above ${atMost}`;
  return undefined;
}
