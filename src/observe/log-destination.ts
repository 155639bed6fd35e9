import { close, open, write } from "node:fs";
import type { LineDestination } from "./access-log.ts";
import type { Counter } from "./counters.ts";

/** A write this large is worth a system call; smaller ones wait for more lines or for the timer. */
const batchChars = 8 * 1024;
const defaultFlushAfterMs = 1000;
/** Maximum backlog for a slow reader; above it lines are dropped. */
const backlogBytes = 4 * 1024 * 1024;
/** A full pipe does not signal when it has room again. */
const retryMs = 100;

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

interface Batch {
  readonly bytes: Buffer;
  /** What is written of it. */
  done: number;
}

/**
 * Writes lines to a file or pipe, in batches and without blocking. Failures never throw, and every line that is not
 * written is counted: a batch that fails, as on a full disk, is lost and the next one is tried; a pipe without a reader
 * never recovers, so nothing more is tried; of a reader that is slow a bounded backlog waits.
 */
export class LogDestination implements LineDestination {
  readonly #dropped: Pick<Counter, "value">;
  readonly #onTrouble: (error: Error) => void;
  readonly #flushAfterMs: number;
  /** Settled once the file is open, or cannot be opened. */
  readonly #ready = Promise.withResolvers<void>();
  #descriptor: number | undefined;
  #pending = "";
  #pendingLines = 0;
  /** The first one is being written. */
  readonly #batches: Batch[] = [];
  #queuedBytes = 0;
  #isWriting = false;
  /** What was written last is a part of a line, which the next line must not continue. */
  #isTorn = false;
  #flushTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #flushed: (() => void)[] = [];
  #state: "fine" | "troubled" | "broken" | "closed" = "fine";

  constructor({ to, dropped, onTrouble, flushAfterMs = defaultFlushAfterMs }: LogDestinationOptions) {
    this.#dropped = dropped;
    this.#onTrouble = onTrouble;
    this.#flushAfterMs = flushAfterMs;
    if (typeof to === "number") {
      this.#descriptor = to;
      this.#ready.resolve();
    } else {
      this.#open(to);
    }
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
    else if (this.#flushTimer === undefined) this.#startTimer();
  }

  /** Resolves once every line so far was written or is lost. */
  flush(): Promise<void> {
    this.#handOver();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#flushed.push(resolve);
    this.#tellFlushed();
    return promise;
  }

  /**
   * Flushes for at most `maxMs`, and closes the descriptor unless it is stdout or stderr. Lines that are not written then,
   * or come later, are lost.
   */
  async close(maxMs = Number.POSITIVE_INFINITY): Promise<void> {
    const giveUp = Number.isFinite(maxMs) ? setTimeout(() => this.#giveUp("closed"), maxMs) : undefined;
    await this.#ready.promise;
    await this.flush();
    clearTimeout(giveUp);
    clearTimeout(this.#flushTimer);
    this.#giveUp("closed");
    if (this.#descriptor === undefined || this.#isWriting || this.#descriptor <= 2) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    close(this.#descriptor, () => resolve());
    this.#descriptor = undefined;
    await promise;
  }

  #isOver(): boolean {
    return this.#state === "broken" || this.#state === "closed";
  }

  #startTimer(): void {
    this.#flushTimer = setTimeout(() => {
      this.#flushTimer = undefined;
      this.#handOver();
    }, this.#flushAfterMs);
    // The timer must not keep the process alive: shutdown flushes.
    this.#flushTimer.unref();
  }

  #open(path: string): void {
    open(path, "a", (error, descriptor) => {
      if (error === null) {
        this.#descriptor = descriptor;
        this.#writeNext();
      } else {
        this.#troubled(error);
        this.#giveUp("broken");
      }
      this.#ready.resolve();
    });
  }

  #handOver(): void {
    if (this.#pendingLines === 0) return;
    const bytes = Buffer.from(this.#pending);
    const lines = this.#pendingLines;
    this.#pending = "";
    this.#pendingLines = 0;
    if (this.#isOver() || this.#queuedBytes + bytes.length > backlogBytes) {
      this.#dropped.value += lines;
      return;
    }
    this.#queuedBytes += bytes.length;
    this.#batches.push({ bytes, done: 0 });
    this.#writeNext();
  }

  #writeNext(): void {
    const [batch] = this.#batches;
    if (batch === undefined || this.#descriptor === undefined || this.#isWriting || this.#isOver()) return;
    if (this.#isTorn && batch.done === 0) {
      this.#isTorn = false;
      this.#batches.unshift({ bytes: newline, done: 0 });
      this.#queuedBytes += newline.length;
      this.#writeNext();
      return;
    }
    this.#isWriting = true;
    const { bytes, done } = batch;
    write(this.#descriptor, bytes, done, bytes.length - done, null, (error, count) => {
      this.#isWriting = false;
      this.#written(batch, error, count);
    });
  }

  #written(batch: Batch, error: NodeJS.ErrnoException | null, count: number): void {
    if (this.#state === "closed") return;
    if (error !== null && retriedCodes.has(error.code)) {
      this.#retryTimer = setTimeout(() => this.#writeNext(), retryMs);
      return;
    }
    if (error === null) {
      batch.done += count;
      this.#state = "fine";
      if (batch.done === batch.bytes.length) this.#remove(batch);
    } else {
      this.#troubled(error);
      if (error.code === "EPIPE") this.#giveUp("broken");
      else this.#lose(batch);
    }
    this.#writeNext();
    this.#tellFlushed();
  }

  #troubled(error: NodeJS.ErrnoException): void {
    if (this.#state === "fine") this.#onTrouble(error);
    if (!this.#isOver()) this.#state = "troubled";
  }

  #remove(batch: Batch): void {
    this.#batches.splice(this.#batches.indexOf(batch), 1);
    this.#queuedBytes -= batch.bytes.length;
  }

  /** Counts the lines that are not written to their end. */
  #lose(batch: Batch): void {
    const { bytes, done } = batch;
    if (bytes === newline) {
      this.#isTorn = true;
    } else {
      this.#isTorn = done > 0 && bytes[done - 1] !== newlineByte;
      for (let at = bytes.indexOf(newlineByte, done); at >= 0; at = bytes.indexOf(newlineByte, at + 1)) {
        this.#dropped.value++;
      }
    }
    this.#remove(batch);
  }

  /** Everything that waits is lost. */
  #giveUp(state: "broken" | "closed"): void {
    clearTimeout(this.#retryTimer);
    for (const batch of [...this.#batches]) this.#lose(batch);
    this.#dropped.value += this.#pendingLines;
    this.#pending = "";
    this.#pendingLines = 0;
    this.#state = state;
    this.#tellFlushed();
  }

  #tellFlushed(): void {
    if (this.#batches.length > 0) return;
    for (const resolve of this.#flushed.splice(0)) resolve();
  }
}

const newlineByte = 0x0a;
const newline = Buffer.from("\n");

/** The reader has not kept up, or the write was interrupted. */
const retriedCodes: ReadonlySet<string | undefined> = new Set(["EAGAIN", "EBUSY", "EINTR"]);
