const dayMs = 86_400_000;
/** Before this, every zone has the mean solar time of its place. */
const firstRuleMs = Date.UTC(1800, 0, 1);
/** Days whose offset is remembered, per zone: sixty years, or 400 KiB. */
const maxDays = 22_000;

/** The offset of a day on which it changes, or may. */
const changes = Number.NaN;

/** Converts wall clock times of an IANA time zone. The rules are those of Node's ICU. */
export class TimeZone {
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;
  /** By day, counted from 1970: the offset in milliseconds, or `changes`. */
  readonly #days = new Map<number, number>();

  private constructor(name: string, format: Intl.DateTimeFormat) {
    this.name = name;
    this.#format = format;
  }

  /** The zone of this name, in any case; undefined if there is none. Names must come from the configuration. */
  static named(name: string): TimeZone | undefined {
    const known = zones.get(name);
    // Offsets such as +08:00 are taken by Intl, but not by every version of Node.
    if (known !== undefined || !/^[A-Za-z]/.test(name)) return known;
    try {
      const zone = new TimeZone(name, formatOf(name));
      zones.set(name, zone);
      return zone;
    } catch {
      return undefined;
    }
  }

  /**
   * The time since the epoch of a wall clock time, which is given as if it were UTC; both in milliseconds. A time that
   * the clock skips counts as if the clock had not been changed: of 02:30, where 02:00 becomes 03:00, it makes 03:30. Of
   * a time that occurs twice it is the first.
   */
  toUtc(wallMs: number): number {
    const day = Math.floor(wallMs / dayMs);
    let offset = this.#days.get(day);
    if (offset === undefined) {
      offset = this.#offsetOfDay(day);
      if (this.#days.size >= maxDays) this.#days.clear();
      this.#days.set(day, offset);
    }
    return Number.isNaN(offset) ? this.#aroundChange(wallMs) : wallMs - offset;
  }

  /** No offset is over a day, so the day before and the day after enclose the wall clock's day. */
  #offsetOfDay(day: number): number {
    const offset = this.#offsetAt((day - 1) * dayMs);
    return offset === this.#offsetAt((day + 2) * dayMs) ? offset : changes;
  }

  #aroundChange(wallMs: number): number {
    const before = this.#offsetAt(wallMs - 1.5 * dayMs);
    const after = this.#offsetAt(wallMs + 1.5 * dayMs);
    const early = wallMs - before;
    if (this.#offsetAt(early) === before) return early;
    const late = wallMs - after;
    return this.#offsetAt(late) === after ? late : early;
  }

  #offsetAt(utcMs: number): number {
    const atMs = Math.max(firstRuleMs, Math.floor(utcMs / 1000) * 1000);
    const parts = this.#format.format(atMs).match(/\d+/g) ?? [];
    const [month = 1, day = 1, year = 0, hour = 0, minute = 0, second = 0] = parts.map(Number);
    return Date.UTC(year, month - 1, day, hour, minute, second) - atMs;
  }
}

const zones = new Map<string, TimeZone>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const [year, month, day, hour, minute, second] = Array<"numeric">(6).fill("numeric");
  const fields = { year, month, day, hour, minute, second };
  return new Intl.DateTimeFormat("en-US-u-ca-gregory-nu-latn", { timeZone, hourCycle: "h23", ...fields });
}
