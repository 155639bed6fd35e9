import type { TimeZone } from "./time-zone.ts";

/** Client input: anything longer is rejected before it is parsed. */
const maxLength = 128;

/** The accepted forms, for messages. */
export const timeForms =
  "2026-03-01, 2026-03-01 08:00:00 (also with T, with /, without seconds, with a fraction, and followed by Z, UTC, GMT, +08, +0800 or +08:00), 20260301T080000Z, Sun, 01 Mar 2026 08:00:00 GMT, Sun Mar 01 2026 08:00:00 GMT+0800, or seconds, milliseconds, microseconds or nanoseconds since 1970";

const zoneOrOffset = String.raw`(?<utc>Z|UTC|GMT)|(?:UTC|GMT)?(?<sign>[+-])(?<offsetHours>\d\d)(?::?(?<offsetMinutes>\d\d))?`;
const fraction = String.raw`(?:[.,](?<fraction>\d+))?`;

/**
 * RFC 3339 and its relatives: ISO 8601 with less, RFC 9557 with a zone in brackets, the default forms of Ruby, .NET and
 * Go, which adds an abbreviation of the zone and a monotonic clock.
 */
const calendar = new RegExp(
  String.raw`^(?<year>\d{4})(?:-(?<month>\d\d?)-(?<day>\d\d?)|/(?<slashMonth>\d\d?)/(?<slashDay>\d\d?))` +
    String.raw`(?:[T ](?<hour>\d\d?):(?<minute>\d\d)(?::(?<second>\d\d)${fraction})?` +
    String.raw`(?: ?(?:${zoneOrOffset}(?: (?:[A-Z]{3,5}|[+-]\d\d(?:\d\d)?)(?: m=[+-]\d+\.\d+)?)?))?(?:\[(?<zone>[A-Z][A-Z0-9_+/-]{0,63})\])?)?$`,
  "i",
);

/** ISO 8601 without separators. The T is required: digits alone could be a number of seconds. */
const basic = new RegExp(
  String.raw`^(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)T(?<hour>\d\d)(?<minute>\d\d)(?:(?<second>\d\d)${fraction})?` +
    `(?:${zoneOrOffset})?$`,
  "i",
);

const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/** RFC 9110 §5.6.7 (IMF-fixdate), and RFC 5322 §3.3 with an offset. */
const internet = new RegExp(
  String.raw`^(?<weekday>[a-z]{3}), (?<day>\d\d?) (?<monthName>[a-z]{3}) (?<year>\d{4}) ` +
    String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) (?:${zoneOrOffset})$`,
  "i",
);

/** JavaScript's Date, and C's with the zone that it lacks. The name of the zone in parentheses is that of a language. */
const words = new RegExp(
  String.raw`^(?<weekday>[a-z]{3}) (?<monthName>[a-z]{3}) {1,2}(?<day>\d\d?)(?<early> \d{4})? ` +
    String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) (?:${zoneOrOffset})(?<late> \d{4})?(?: \([^()]*\))?$`,
  "i",
);

const epoch = /^(-?)(\d{1,19})(?:\.(\d{1,9}))?$/;

/**
 * Digits that read as a year of 1900 to 2099, or as a month, day or time of them, and as a number since 1970: as a
 * number they would be a time of 1970, of 1976, or in 600 years.
 */
const dateOrNumber =
  /^(?:19|20)\d\d(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?)?)?(?:\.\d*)?$/;

type Fields = Readonly<Record<string, string | undefined>>;

/**
 * Parses a time to milliseconds since the Unix epoch, in one of `timeForms`. Without an offset it is a wall clock time of
 * `zone` (default: UTC); a date alone is its midnight. Dates that do not exist, such as 2026-02-30, are rejected, and so
 * are forms that can be read in two ways: 03/01/2026, 20260301, 2026. A leap second is the start of the next day, as in POSIX.
 * Fractions below a millisecond are truncated.
 */
export function parseTime(text: string, zone?: TimeZone): number | undefined {
  if (text.length > maxLength) return undefined;
  const number = epoch.exec(text);
  if (number !== null) return dateOrNumber.test(text) ? undefined : epochTime(number);
  const fields = calendar.exec(text)?.groups ?? basic.exec(text)?.groups ?? internet.exec(text)?.groups;
  return calendarTime(fields ?? wordsIn(text), zone);
}

/** The year is at one of two places. */
function wordsIn(text: string): Fields | undefined {
  const fields = words.exec(text)?.groups;
  const { early, late } = fields ?? {};
  return (early === undefined) === (late === undefined) ? undefined : { ...fields, year: early ?? late };
}

/**
 * The number of digits from which on a bare number is in milliseconds, microseconds and nanoseconds: in the unit before
 * it would be the year 5138.
 */
const firstDigits = 12;

function epochTime([, sign, digits = "", fraction]: RegExpExecArray): number | undefined {
  const whole = digits.replace(/^0+(?=\d)/, "");
  const extra = Math.floor((whole.length - firstDigits) / 3) * 3;
  const ms = extra < 0 ? Number(whole) * 1000 + milliseconds(fraction) : Number(whole.slice(0, whole.length - extra));
  return sign === "-" ? 0 - ms : ms;
}

/** From a fraction's digits, as text: 0.57 × 100 is not 57 in floating point. */
function milliseconds(digits: string | undefined): number {
  return digits === undefined ? 0 : Number(digits.slice(0, 3).padEnd(3, "0"));
}

const dayMs = 86_400_000;

function calendarTime(fields: Fields | undefined, zone: TimeZone | undefined): number | undefined {
  if (fields === undefined) return undefined;
  const year = Number(fields["year"]);
  const month = monthOf(fields);
  const day = Number(fields["day"] ?? fields["slashDay"]);
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined;
  const [hour, minute, second] = [numberIn(fields, "hour"), numberIn(fields, "minute"), numberIn(fields, "second")];
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const midnightMs = midnight(year, month, day);
  if (!isWeekday(fields["weekday"], midnightMs)) return undefined;
  const wallMs = midnightMs + ((hour * 60 + minute) * 60 + second) * 1000;
  const wholeSeconds = toUtc(wallMs, fields, zone);
  if (wholeSeconds === undefined || (second === 60 && wholeSeconds % dayMs !== 0)) return undefined;
  return wholeSeconds + milliseconds(fields["fraction"]);
}

const numberIn = (fields: Fields, name: string): number => Number(fields[name] ?? 0);

function monthOf(fields: Fields): number {
  const name = fields["monthName"];
  return name === undefined ? Number(fields["month"] ?? fields["slashMonth"]) : months.indexOf(name.toLowerCase()) + 1;
}

/** 1970 began on a Thursday. */
function isWeekday(name: string | undefined, midnightMs: number): boolean {
  return name === undefined || weekdays[(((midnightMs / dayMs + 4) % 7) + 7) % 7] === name.toLowerCase();
}

/** An offset counts before a zone in brackets. Such a zone must be known without a search for what a client names. */
function toUtc(wallMs: number, fields: Fields, zone: TimeZone | undefined): number | undefined {
  const { utc, sign, zone: named } = fields;
  if (utc !== undefined) return wallMs;
  if (sign !== undefined) {
    const [hours, minutes] = [numberIn(fields, "offsetHours"), numberIn(fields, "offsetMinutes")];
    if (hours > 23 || minutes > 59) return undefined;
    return wallMs - (sign === "-" ? -1 : 1) * (hours * 60 + minutes) * 60_000;
  }
  if (named !== undefined && /^(?:Etc\/)?(?:UTC|GMT)$/i.test(named)) return wallMs;
  if (named !== undefined && named.toLowerCase() !== zone?.name.toLowerCase()) return undefined;
  return zone === undefined ? wallMs : zone.toUtc(wallMs);
}

function midnight(year: number, month: number, day: number): number {
  // Date.UTC takes the years 0 to 99 for 1900 to 1999. The calendar repeats every 400 years, so shift by one cycle.
  return Date.UTC(year + 400, month - 1, day) - 146_097 * dayMs;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
