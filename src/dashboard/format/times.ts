import { locale } from "../words/language.ts";
import { unknown } from "./numbers.ts";

type Moment = string | number | null | undefined;

function dateOf(moment: Moment): Date | undefined {
  return moment == null ? undefined : new Date(moment);
}

/** A time of day in the reader's zone with its offset: `14:03:05 GMT+1`. */
export function clock(moment: Moment): string {
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
  const date = dateOf(moment);
  return date === undefined ? unknown : `${date.toLocaleTimeString(locale.value, options)} ${offsetOf(date)}`;
}

/** The same without the offset, where a heading has it. */
export function shortClock(moment: Moment): string {
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
  return dateOf(moment)?.toLocaleTimeString(locale.value, options) ?? unknown;
}

/** The date as ISO 8601 has it, since 11/12 is read in two ways. */
export function dateAndClock(moment: Moment): string {
  const date = dateOf(moment);
  if (date === undefined) return unknown;
  const digits = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${digits(date.getMonth() + 1)}-${digits(date.getDate())} ${clock(moment)}`;
}

/** Such as `GMT+1`: where the reader is at that time. */
export function offsetOf(date: Date): string {
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" }).formatToParts(date);
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
}

const units = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
] as const;

/** A span in its two largest units: `4 min 30 sec`. */
export function span(ms: number): string {
  let rest = Math.max(0, Math.round(ms / 1_000) * 1_000);
  const texts: string[] = [];
  for (const [unit, unitMs] of units) {
    const amount = Math.floor(rest / unitMs);
    rest -= amount * unitMs;
    if (amount === 0 || texts.length === 2) continue;
    texts.push(amount.toLocaleString(locale.value, { style: "unit", unit, unitDisplay: "short" }));
  }
  return texts.length === 0
    ? (0).toLocaleString(locale.value, { style: "unit", unit: "second", unitDisplay: "short" })
    : texts.join(" ");
}

/** How long ago, in one unit: `3 minutes ago`. */
export function ago(moment: Moment, nowMs: number): string {
  const date = dateOf(moment);
  if (date === undefined) return unknown;
  const ms = Math.max(0, nowMs - date.getTime());
  const format = new Intl.RelativeTimeFormat(locale.value, { numeric: "auto" });
  const [unit, unitMs] = units.find(([, size]) => ms >= size) ?? ["second", 1_000];
  return format.format(-Math.floor(ms / unitMs), unit);
}
