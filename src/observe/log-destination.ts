import pino from "pino";
import type { LineDestination } from "./access-log.ts";
import type { Counter } from "./counters.ts";

/** A write this large is worth a system call; smaller ones wait for more lines or for the timer. */
const batchChars = 8 * 1024;
const defaultFlushAfterMs = 1000;
/** Maximum backlog for a slow reader or a full disk; above it lines are dropped. */
const backlogBytes = 4 * 1024 * 1024;

export interface LogDestinationOptions {
  /** A file descriptor, or a path that is appended to. */
  readonly to: number | string;
  /** Counts lines that were lost. */
  readonly dropped: Pick<Counter, "value">;
  /** Called once each time that writing starts to fail; called from an event handler, so it must not throw. */
  readonly onTrouble: (error: Error) => void;
  /** Maximum delay of a line before it is written; default 1000. */
  readonly flushAfterMs?: number;
}

/**
 * Writes lines to a file or pipe through pino's asynchronous destination. Lines are batched before it, since it
 * measures its whole buffer on every write, which doubles the cost of a line. Write failures never throw. A full disk
 * is retried with every batch, with a bounded backlog; a pipe without a reader never recovers, so its lines are only
 * counted.
 */
export class LogDestination implements LineDestination {
  readonly #stream: ReturnType<typeof pino.destination>;
  readonly #dropped: Pick<Counter, "value">;
  readonly #flushAfterMs: number;
  #pending = "";
  #pendingLines = 0;
  /** Passed to the stream, not yet confirmed as written. */
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

  /** Resolves once every line so far was written or has failed. */
  flush(): Promise<void> {
    this.#handOver();
    if (this.#isOver()) return Promise.resolve();
    return new Promise((resolve) => {
      // Ignore the error: it was counted already, or only reports that a pipe cannot be synced.
      this.#stream.flush(() => resolve());
    });
  }

  /** For process exit, when asynchronous writes no longer run. */
  flushSync(): void {
    this.#handOver();
    if (this.#isOver()) return;
    try {
      this.#stream.flushSync();
    } catch {
      // An exception here would hide the reason for the exit.
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
    // The timer must not keep the process alive: shutdown flushes.
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

  /** The pending lines are lost. */
  #giveUp(): void {
    this.#dropped.value += this.#waitingLines;
    this.#waitingLines = 0;
  }
}
