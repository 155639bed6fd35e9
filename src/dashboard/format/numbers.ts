import { locale } from "../words/language.ts";

/** Figures in the reader's language. `–` stands for what is not known, never a zero. */
export const unknown = "–";

export function count(value: number | null | undefined): string {
  return value == null ? unknown : Math.round(value).toLocaleString(locale.value);
}

/** Requests a second: two digits below 10. */
export function rate(value: number | null | undefined): string {
  if (value == null) return unknown;
  return value.toLocaleString(locale.value, { maximumFractionDigits: value < 10 ? 1 : 0 });
}

/** A share, 0 to 1, as `0.25 %`. */
export function percent(share: number | null | undefined, digits = 3): string {
  if (share == null) return unknown;
  const text = (100 * share).toLocaleString(locale.value, { maximumSignificantDigits: digits });
  return `${text} %`;
}

/** The same in columns, where points stand under points: `10.00 %`. */
export function fixedPercent(share: number): string {
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return `${(100 * share).toLocaleString(locale.value, digits)} %`;
}

/** A difference of shares, in percentage points with its sign. */
export function points(difference: number | null | undefined): string {
  if (difference == null) return unknown;
  return (100 * difference).toLocaleString(locale.value, { maximumSignificantDigits: 2, signDisplay: "exceptZero" });
}

export function millis(ms: number | null | undefined): string {
  if (ms == null) return unknown;
  if (ms >= 10_000) return `${(ms / 1000).toLocaleString(locale.value, { maximumFractionDigits: 1 })} s`;
  const digits = ms < 10 ? 1 : 0;
  return `${ms.toLocaleString(locale.value, { maximumFractionDigits: digits })} ms`;
}

export function signedMillis(ms: number | null | undefined): string {
  if (ms == null) return unknown;
  const digits = Math.abs(ms) < 10 ? 1 : 0;
  return `${ms.toLocaleString(locale.value, { maximumFractionDigits: digits, signDisplay: "exceptZero" })} ms`;
}
