import pino from "pino";
import type { LineDestination } from "./access-log.ts";
import type { Counter } from "./counters.ts";

/** A write this large is worth a system call; smaller ones wait for more lines or for the timer. */
const batchChars = 8 * 1024;
const defaultFlushAfterMs = 1000;
/** What may wait for a slow reader or a full disk before lines are dropped. */
const backlogBytes = 4 * 1024 * 1024;

export interface LogDestinationOptions {
  /** A file descriptor, or a path that is appended to. */
  readonly to: number | string;
  /** Counts lines that were lost. */
  readonly dropped: Pick<Counter, "value">;
  /** Told once each time that writing starts to fail; called from an event, so it must not throw. */
  readonly onTrouble: (error: Error) => void;
  /** Default 1000. A line waits no longer than this for others to share its write. */
  readonly flushAfterMs?: number;
}

/**
 * Lines on their way to a file or pipe, through pino's asynchronous destination. They are batched in front of it: it
 * measures its whole buffer on every write, which doubles the cost of a line. No failure to write ever throws. A full
 * disk is tried again with every batch while a bounded backlog waits; a pipe whose reader went away never comes back,
 * so its lines are only counted.
 */
export class LogDestination implements LineDestination {
  readonly #stream: ReturnType<typeof pino.destination>;
  readonly #dropped: Pick<Counter, "value">;
  readonly #flushAfterMs: number;
  #pending = "";
  #pendingLines = 0;
  /** Handed to the stream, and not known to be written. */
  #waitingLines = 0;
  #timer: NodeJS.Timeout | undefined;
  #state: "fine" | "troubled" | "broken" | "closed" = "fine";

  constructor(options: LogDestinationOptions) {
    this.#dropped = options.dropped;
    this.#flushAfterMs = options.flushAfterMs ?? defaultFlushAfterMs;
    this.#stream = pino.destination({ dest: options.to, sync: false, minLength: 1, maxLength: backlogBytes });
    this.#stream.on("error", (error: NodeJS.ErrnoException) => {
      if (this.#state === "fine") options.onTrouble(error);
      if (this.#state === "closed") return;
      this.#state = error.code === "EPIPE" ? "broken" : "troubled";
      if (this.#state === "broken") this.#giveUp();
    });
    this.#stream.on("drain", () => {
      this.#waitingLines = 0;
      if (this.#state === "troubled") this.#state = "fine";
    });
    this.#stream.on("drop", (batch: string) => {
      const lines = batch.split("\n").length - 1;
      this.#waitingLines -= lines;
      this.#dropped.value += lines;
    });
  }

  /** `text` is one line, or `lines` of them, and ends with a newline. */
  write(text: string, lines = 1): void {
    if (this.#isOver()) {
      this.#dropped.value += lines;
      return;
    }
    this.#pending += text;
    this.#pendingLines += lines;
    if (this.#pending.length >= batchChars) this.#handOver();
    else if (this.#timer === undefined) this.#startTimer();
  }

  /** Resolves once every line so far is written, or cannot be. */
  flush(): Promise<void> {
    this.#handOver();
    if (this.#isOver()) return Promise.resolve();
    return new Promise((resolve) => {
      // The error that it may pass is not news: it is counted above, or says only that a pipe cannot be synced.
      this.#stream.flush(() => resolve());
    });
  }

  /** For the moment before the process exits, when nothing asynchronous happens any more. */
  flushSync(): void {
    this.#handOver();
    if (this.#isOver()) return;
    try {
      this.#stream.flushSync();
    } catch {
      // Nobody is left to tell, and an exception here would hide the reason of the exit.
    }
  }

  /** Flushes, and closes the descriptor unless it is stdout or stderr. Lines written later are dropped. */
  async close(): Promise<void> {
    await this.flush();
    clearTimeout(this.#timer);
    if (this.#state !== "closed") this.#stream.destroy();
    this.#giveUp();
    this.#state = "closed";
  }

  #isOver(): boolean {
    return this.#state === "broken" || this.#state === "closed";
  }

  #startTimer(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#handOver();
    }, this.#flushAfterMs);
    // A log line is no reason to keep a process alive that has nothing else to do: shutdown flushes.
    this.#timer.unref();
  }

  #handOver(): void {
    if (this.#pendingLines === 0) return;
    const batch = this.#pending;
    this.#waitingLines += this.#pendingLines;
    this.#pending = "";
    this.#pendingLines = 0;
    if (this.#isOver()) this.#giveUp();
    else this.#stream.write(batch);
  }

  /** What waits now will never be written. */
  #giveUp(): void {
    this.#dropped.value += this.#waitingLines;
    this.#waitingLines = 0;
  }
}
