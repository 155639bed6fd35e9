import pino, { type Logger } from "pino";

export type { Logger };

/** From least to most verbose; `silent` writes nothing. */
export const logLevels = ["silent", "fatal", "error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  readonly level: LogLevel;
  /** The wall clock, in milliseconds. */
  readonly nowMs: () => number;
  /** A file descriptor, a path, or an object that receives whole lines; default 2, stderr. */
  readonly to?: number | string | { write(line: string): void };
  /** The worker's number, in every line. */
  readonly worker?: number;
}

/** The program's log: JSON lines, written synchronously, so that no line before an exit is lost. */
export function createLogger(options: LoggerOptions): Logger {
  const destination = destinationOf(options.to ?? 2);
  const time = new TimeText();
  return pino(
    {
      level: options.level,
      base: options.worker === undefined ? null : { worker: options.worker },
      timestamp: () => `,"time":"${time.of(options.nowMs())}"`,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: asciiJson },
    },
    destination,
  );
}

/** Writes synchronously, with one call per line. */
export function destinationOf(to: NonNullable<LoggerOptions["to"]>): { write(line: string): void } {
  if (typeof to === "object") return to;
  const destination = pino.destination({ dest: to, sync: true });
  // A log that cannot be written must not end the process.
  destination.on("error", () => {});
  return destination;
}

/**
 * Makes a line of JSON pure printable ASCII. JSON itself escapes quotes, C0 controls and lone surrogates, but leaves
 * characters that some readers interpret: U+2028 and U+0085 end a line, DEL and C1 control terminals, bidirectional
 * marks reorder the displayed text. Outside of strings JSON is ASCII, so escaping the rest is always valid.
 */
export function asciiJson(line: string): string {
  // Two native scans: a regular expression over the whole line costs five times as much.
  if (Buffer.byteLength(line) === line.length && !line.includes("\x7f")) return line;
  return line.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Writes wall-clock milliseconds as RFC 3339 in UTC; the formatted second is cached, since formatting is slow. */
export class TimeText {
  #second = Number.NaN;
  #prefix = "";

  of(nowMs: number): string {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#prefix = new Date(second * 1000).toISOString().slice(0, -"000Z".length);
    }
    return `${this.#prefix}${String(Math.floor(nowMs - second * 1000)).padStart(3, "0")}Z`;
  }
}
