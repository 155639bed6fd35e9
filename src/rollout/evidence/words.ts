import type { BadAnswer } from "../../decide/rollout-spec.ts";

/** Figures as people read them at night: `1,204`, `10 %`, `0.25 %`. */
export const countText = (count: number): string => Math.round(count).toLocaleString("en-US");

export function percentText(share: number): string {
  return `${(100 * share).toLocaleString("en-US", { maximumSignificantDigits: 3 })} %`;
}

export function evidenceText(value: number): string {
  if (value >= 1e9) return "over a billion";
  return value >= 100 ? countText(value) : value.toLocaleString("en-US", { maximumSignificantDigits: 2 });
}

/** What a user of this question met: `an error`, `an answer slower than 800 ms`. */
export function badText({ metric, over }: BadAnswer, limitMs: number): string {
  if (metric === "errors") return "an error";
  const limit = Number.isFinite(limitMs) ? `${limitMs.toLocaleString("en-US", { maximumFractionDigits: 1 })} ms` : "";
  if (over !== "p95") return `an answer slower than ${limit}`;
  return `an answer slower than the baseline's p95${limit && ` of ${limit}`}`;
}
