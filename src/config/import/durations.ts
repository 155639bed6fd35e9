import { longestTimeout, maxTimeoutMs } from "./perch-limits.ts";

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/**
 * Converts a duration as Go and GEP-2257 write it: `1h30m` to `5400s`; one of a single unit stays as it is. Empty for
 * zero, which means no limit; undefined if it cannot be read.
 */
export function durationIn(text: string): string | undefined {
  const ms = millisecondsIn(text);
  if (ms === undefined || ms === 0) return ms === undefined ? undefined : "";
  if (/^[1-9]\d*[a-z]+$/.test(text)) return text;
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

/** The same for a time limit: one that is longer than Perch's longest becomes the longest. */
export function timeLimitIn(text: string): string | undefined {
  return (millisecondsIn(text) ?? 0) > maxTimeoutMs ? longestTimeout : durationIn(text);
}

/** The same duration in whole seconds. */
export function secondsIn(text: string): number | undefined {
  const ms = millisecondsIn(text);
  return ms === undefined ? undefined : Math.floor(ms / 1_000);
}

/** The same duration in milliseconds; undefined if it cannot be read. */
export function millisecondsIn(text: string): number | undefined {
  if (!/^(?:\d{1,9}(?:\.\d{1,3})?(?:h|ms|m|s))+$/.test(text)) return /^0+$/.test(text) ? 0 : undefined;
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g);
  let ms = 0;
  for (const [, count = "", unit = ""] of parts) ms += Number(count) * (unitMs[unit] ?? 0);
  return Math.round(ms);
}
