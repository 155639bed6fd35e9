import { hashText } from "../../decide/hash.ts";
import type { Unit } from "../../decide/unit.ts";
import { type ErrorCode, errorTable } from "../../errors.ts";
import type { EndedAnswer } from "../../observe/rollout/failed-answer.ts";

/** A line of the access log as far as it is read here; any field may be of any type, or absent. */
export type LogLine = { readonly [Field in LogField]?: unknown };

type LogField =
  | "msg"
  | "time"
  | "release"
  | "version"
  | "assigned"
  | "reason"
  | "unit"
  | "odds"
  | "status"
  | "grpcStatus"
  | "error"
  | "cause"
  | "fault"
  | "rescued"
  | "failedAttempt"
  | "durationMs";

const ownTime = /^\d{4}-\d\d-\d\dT(?!24)\d\d:\d\d:\d\d\.\d{3}Z$/;
const digit = (text: string, at: number): number => text.charCodeAt(at) - 0x30;

/** Reads the times of lines. That of the same second as the last one costs a fifth of a `Date.parse`. */
export class LineTimes {
  /** As Perch writes it, up to the point; empty: the last time was not so. */
  #second = "";
  #secondMs = 0;

  /** Milliseconds since the epoch: `time` is RFC 3339 text, or such a number, as other writers of logs have it. NaN: neither. */
  of({ time }: LogLine): number {
    if (typeof time === "number") return time;
    if (typeof time !== "string") return Number.NaN;
    if (time.length === 24 && this.#second !== "" && time.startsWith(this.#second) && time.endsWith("Z")) {
      const [hundreds, tens, ones] = [digit(time, 20), digit(time, 21), digit(time, 22)];
      const areDigits = Math.min(hundreds, tens, ones) >= 0 && Math.max(hundreds, tens, ones) <= 9;
      if (areDigits) return this.#secondMs + 100 * hundreds + 10 * tens + ones;
    }
    const ms = Date.parse(time);
    const isOwn = ownTime.test(time) && !Number.isNaN(ms);
    this.#second = isOwn ? time.slice(0, 20) : "";
    this.#secondMs = ms - (isOwn ? Number(time.slice(20, 23)) : 0);
    return ms;
  }
}

/** The version whose answer is judged: the one assigned, which the log names where another served. */
export function versionOf({ version, assigned }: LogLine): unknown {
  return assigned ?? version;
}

/** The log's digest of the unit; another text is hashed. Undefined: the line names no unit. */
export function unitOf({ unit }: LogLine): Unit | undefined {
  if (typeof unit !== "string" || unit === "") return undefined;
  const hi = unit.length === 16 ? hexWord(unit, 0) : undefined;
  const lo = hi === undefined ? undefined : hexWord(unit, 8);
  return hi === undefined || lo === undefined ? hashedUnit(unit) : { source: "random", hi, lo };
}

/** Eight lower-case hexadecimal digits as a signed word: four times as fast as a pattern and `parseInt`. */
function hexWord(text: string, from: number): number | undefined {
  let word = 0;
  for (let at = from; at < from + 8; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x30 && code <= 0x39) word = (word << 4) | (code - 0x30);
    else if (code >= 0x61 && code <= 0x66) word = (word << 4) | (code - 0x57);
    else return undefined;
  }
  return word;
}

/** A unit that nothing else is. */
export function hashedUnit(text: string): Unit {
  const { h1, h2 } = hashText(text, 0);
  return { source: "random", hi: h1, lo: h2 };
}

/** What of the line says whether the answer was bad. Logs without `failedAttempt` show only rescued requests. */
export function answerOf(line: LogLine, status: number): EndedAnswer {
  const { grpcStatus, error, cause, fault, durationMs } = line;
  return {
    status,
    grpcStatus: typeof grpcStatus === "number" ? grpcStatus : undefined,
    error: isErrorCode(error) ? error : undefined,
    errorCause: typeof cause === "string" ? cause : undefined,
    // Which fault it was does not matter.
    fault: fault === undefined || fault === null ? undefined : "abort",
    failedAttempt: line.failedAttempt === true || line.rescued === true,
    durationMs: typeof durationMs === "number" ? durationMs : 0,
  };
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(errorTable, value);
}
