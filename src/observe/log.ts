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
  /** A file descriptor or path, or whoever takes whole lines; default 2, stderr. */
  readonly to?: number | string | { write(line: string): void };
  /** Said in every line: which of several workers speaks. */
  readonly worker?: number;
}

/** The program's own log: JSON lines, written at once, so that the last words before an exit are never lost. */
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

/** Written at once, by a single call for each line. */
export function destinationOf(to: NonNullable<LoggerOptions["to"]>): { write(line: string): void } {
  if (typeof to === "object") return to;
  const destination = pino.destination({ dest: to, sync: true });
  // A log that cannot be written must not end the process that it is about.
  destination.on("error", () => {});
  return destination;
}
