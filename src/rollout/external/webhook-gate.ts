import type { CheckSpec } from "../../decide/rollout-spec.ts";
import type { CheckResult } from "../rollout-state.ts";
import { Asking, type ExternalCheckParts, externalResult } from "./external-check.ts";

export type WebhookGateSpec = Extract<CheckSpec, { readonly kind: "webhook" }>;

/** A yes is for a step that begins now: after a pause of the rollout the hook is asked anew. */
const freshMs = 60_000;

/** A gate that a step passes once its hook answers 2xx. It holds the step, and never fails the candidate. */
export class WebhookGate {
  readonly #spec: WebhookGateSpec;
  readonly #of: { readonly release: string; readonly rollout: string };
  readonly #parts: ExternalCheckParts;
  /** The step that it is, or was, asked for; from 1. */
  #step: number | undefined;
  /** When the step wanted to begin last. */
  #askedForAtMs = 0;
  #asking: Asking | undefined;
  #result: CheckResult;

  constructor(
    spec: WebhookGateSpec,
    of: { readonly release: string; readonly rollout: string },
    parts: ExternalCheckParts,
  ) {
    this.#spec = spec;
    this.#of = of;
    this.#parts = parts;
    const when = spec.beforeStep === undefined ? "each step" : `step ${spec.beforeStep}`;
    this.#result = this.#resultOf("not-enough-data", `it is asked before ${when}`);
  }

  get result(): CheckResult {
    return this.#result;
  }

  /** Whether the step may begin as far as this gate is concerned. The first call for a step asks. */
  mayBegin(step: number): boolean {
    const { beforeStep } = this.#spec;
    if (beforeStep !== undefined && beforeStep !== step) return true;
    const nowMs = this.#parts.nowMs();
    const isStale = this.#result.verdict === "pass" && Math.abs(nowMs - this.#askedForAtMs) > freshMs;
    if (this.#step !== step || isStale) this.#askFor(step);
    this.#askedForAtMs = nowMs;
    return this.#result.verdict === "pass";
  }

  stop(): void {
    this.#asking?.stop();
  }

  #askFor(step: number): void {
    this.stop();
    this.#step = step;
    this.#result = this.#resultOf("not-enough-data", `it is asked before step ${step}`);
    const asking: Asking = new Asking(this.#parts.schedule, this.#spec.everyMs, () => this.#ask(step));
    this.#asking = asking;
  }

  async #ask(step: number): Promise<"again" | "enough"> {
    const posted = await this.#parts.poster.post({
      url: this.#spec.url,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...this.#of, step }),
    });
    // Stopped, or asked for another step in the meantime.
    if (this.#step !== step || this.#asking?.isStopped) return "enough";
    const isPassed = posted.kind === "answered" && posted.status >= 200 && posted.status < 300;
    const said = posted.kind === "answered" ? `it answered ${posted.status}` : posted.why;
    this.#result = isPassed
      ? this.#resultOf("pass", `${said} for step ${step}`)
      : this.#resultOf(
          "not-enough-data",
          `step ${step} waits: ${said}; asked again every ${this.#spec.everyMs / 1000} s`,
        );
    this.#parts.changed();
    return isPassed ? "enough" : "again";
  }

  #resultOf(verdict: CheckResult["verdict"], why: string): CheckResult {
    return externalResult(
      { name: this.#spec.name, metric: "webhook", verdict, why },
      this.#result,
      this.#parts.nowMs(),
    );
  }
}
