import pino, { type Logger } from "pino";
import { asciiJson, TimeText } from "./json-line.ts";

export type { Logger };

/** From the rarest to the most talkative; `silent` says nothing at all. */
export const logLevels = ["silent", "fatal", "error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  readonly level: LogLevel;
  /** The wall clock, in milliseconds. */
  readonly nowMs: () => number;
  /** A file descriptor or path; default 2, stderr. */
  readonly to?: number | string;
}

/** The program's own log: JSON lines, written at once, so that the last words before an exit are never lost. */
export function createLogger(options: LoggerOptions): Logger {
  const destination = pino.destination({ dest: options.to ?? 2, sync: true });
  // A log that cannot be written must not end the process that it is about.
  destination.on("error", () => {});
  const time = new TimeText();
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${time.of(options.nowMs())}"`,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: asciiJson },
    },
    destination,
  );
}
