import type { CheckSpec } from "../../decide/rollout-spec.ts";
import type { Schedule } from "../../upstream/clock.ts";
import type { CheckResult } from "../rollout-state.ts";
import type { ExternalCheckParts } from "./external-check.ts";
import { Poster } from "./post.ts";
import { PrometheusCheck } from "./prometheus-check.ts";
import { WebhookGate } from "./webhook-gate.ts";

export interface ExternalChecksParts {
  readonly nowMs: () => number;
  readonly schedule: Schedule;
  /** A result is another one now. */
  readonly changed: () => void;
}

/** For a whole exchange. */
const limitMs = 10_000;

/** The checks of one rollout that ask others: they run from the start until they are closed. */
export class ExternalChecks {
  readonly #poster: Poster;
  /** In the order of the plan. */
  readonly #checks: readonly (PrometheusCheck | WebhookGate)[];

  /** Of `checks` only those that ask others. */
  constructor(
    of: { readonly release: string; readonly rollout: string },
    checks: readonly CheckSpec[],
    parts: ExternalChecksParts,
  ) {
    this.#poster = new Poster(parts.schedule, limitMs);
    const all: ExternalCheckParts = { ...parts, poster: this.#poster };
    this.#checks = checks.flatMap((spec): (PrometheusCheck | WebhookGate)[] => {
      if (spec.kind === "prometheus") return [new PrometheusCheck(spec, all)];
      return spec.kind === "webhook" ? [new WebhookGate(spec, of, all)] : [];
    });
  }

  results(): readonly CheckResult[] {
    return this.#checks.map(({ result }) => result);
  }

  /** The rollout begins: what was answered before says nothing of a candidate that had no users. */
  begin(): void {
    for (const check of this.#checks) if (check instanceof PrometheusCheck) check.begin();
  }

  /**
   * Whether all gates let this step begin (from 1). The first call for a step asks them; `changed` reports their
   * answers. To be called once the step before has ended otherwise, for a gate says what is true when it is asked.
   */
  mayBegin(step: number): boolean {
    // Every gate is asked, whatever the ones before it say.
    const answers = this.#checks.map((check) => !(check instanceof WebhookGate) || check.mayBegin(step));
    return answers.every(Boolean);
  }

  async close(): Promise<void> {
    for (const check of this.#checks) check.stop();
    await this.#poster.close();
  }
}
