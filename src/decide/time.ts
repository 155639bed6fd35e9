/** Client input: anything longer is rejected before it is parsed. */
const maxLength = 40;

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d)))?$/;
const epoch = /^(-?)(\d{1,16})(?:\.(\d{1,9}))?$/;

/**
 * Parses a time to milliseconds since the Unix epoch: RFC 3339 (`2026-01-01T08:00:00+08:00`; a blank may replace the
 * `T`), a date alone (midnight in UTC), or a decimal number: seconds, or milliseconds from 1e11 up. Dates that do not
 * exist, such as 2026-02-30, are rejected. A leap second is the start of the next day, as in POSIX. Fractions below a
 * millisecond are truncated. Returns undefined for anything else.
 */
export function parseTime(text: string): number | undefined {
  if (text.length > maxLength) return undefined;
  const parts = rfc3339.exec(text);
  if (parts !== null) return calendarTime(parts);
  const number = epoch.exec(text);
  return number === null ? undefined : epochTime(number);
}

/** From here up a bare number is in milliseconds: as seconds it would be the year 5138. */
const firstMilliseconds = 1e11;
/** The range of a JavaScript Date. */
const maxTimeMs = 8.64e15;

function epochTime(parts: RegExpExecArray): number | undefined {
  const whole = Number(parts[2]);
  const ms = whole >= firstMilliseconds ? whole : whole * 1000 + milliseconds(parts[3]);
  if (ms > maxTimeMs) return undefined;
  return parts[1] === "-" ? 0 - ms : ms;
}

/** From a fraction's digits, as text: 0.57 × 100 is not 57 in floating point. */
function milliseconds(fraction: string | undefined): number {
  return fraction === undefined ? 0 : Number(fraction.slice(0, 3).padEnd(3, "0"));
}

const dayMs = 86_400_000;

function calendarTime(parts: RegExpExecArray): number | undefined {
  const field = (at: number): number => Number(parts[at] ?? 0);
  const [year, month, day, hour, minute, second] = [field(1), field(2), field(3), field(4), field(5), field(6)];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 60 || field(9) > 23 || field(10) > 59) return undefined;
  const offsetMinutes = (parts[8] === "-" ? -1 : 1) * (field(9) * 60 + field(10));
  const wholeSeconds = midnight(year, month, day) + ((hour * 60 + minute - offsetMinutes) * 60 + second) * 1000;
  if (second === 60 && wholeSeconds % dayMs !== 0) return undefined;
  return wholeSeconds + milliseconds(parts[7]);
}

function midnight(year: number, month: number, day: number): number {
  // Date.UTC takes the years 0 to 99 for 1900 to 1999. The calendar repeats every 400 years, so shift by one cycle.
  return Date.UTC(year + 400, month - 1, day) - 146_097 * dayMs;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
