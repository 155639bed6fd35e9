import type { BadAnswer } from "../../decide/rollout-spec.ts";

// Made once: with `toLocaleString`, which makes one for each number, the words of a check cost more than its judgement.
const whole = new Intl.NumberFormat("en-US");
const twoDigits = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 2 });
const threeDigits = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const tenths = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

/** Figures as people read them at night: `1,204`, `10 %`, `0.25 %`. */
export const countText = (count: number): string => whole.format(Math.round(count));

export function percentText(share: number): string {
  return `${threeDigits.format(100 * share)} %`;
}

/** A difference of shares: `1 point`, `0.25 points`. */
export function pointsText(difference: number): string {
  const text = threeDigits.format(100 * difference);
  return `${text} ${text === "1" ? "point" : "points"}`;
}

export function evidenceText(value: number): string {
  if (value >= 1e9) return "over a billion";
  return value >= 100 ? countText(value) : twoDigits.format(value);
}

/** What a user of this question met: `an error`, `an answer slower than 800 ms`. */
export function badText({ metric, over }: BadAnswer, limitMs: number): string {
  if (metric === "errors") return "an error";
  const limit = Number.isFinite(limitMs) ? `${tenths.format(limitMs)} ms` : "";
  if (over !== "p95") return `an answer slower than ${limit}`;
  return `an answer slower than the baseline's p95${limit && ` of ${limit}`}`;
}
