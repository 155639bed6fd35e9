import type { Worker } from "node:worker_threads";
import type { LineDestination } from "../observe/access-log.ts";
import { noCounts } from "../observe/stats-transfer.ts";
import type { Answer, Input, WorkerCall, WorkerCounts, WorkerReply, WorkerRequest } from "./messages.ts";

export interface WorkerListener {
  /** Whole lines for the access log. */
  access(lines: string, count: number): void;
  /** A whole line for Perch's own log. */
  log(line: string): void;
}

/** A worker did not do what it was asked; the message says why, in words. */
export class WorkerFailure extends Error {
  override readonly name = "WorkerFailure";
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (failure: WorkerFailure) => void;
}

/** One worker as the main thread sees it: questions with answers, what it counted, and its end. */
export class WorkerThread {
  /** From 1 up; a worker that replaces another has its number. */
  readonly number: number;
  /** Resolves with the reason once the thread has ended. */
  readonly ended: Promise<string>;
  /** What it counted when it last said so. */
  counts: WorkerCounts = { stats: noCounts, beliefs: new Map() };
  state: "starting" | "serving" | "ended" = "starting";
  /** By the pool's clock; undefined until it serves. */
  servingSinceMs: number | undefined;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #why: string | undefined;

  constructor(number: number, worker: Worker, listener: WorkerListener) {
    this.number = number;
    this.#worker = worker;
    worker.on("message", (told: WorkerReply) => this.#hear(told, listener));
    worker.on("error", (error) => {
      this.#why ??= reasonOf(error);
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    worker.on("exit", (code) => {
      this.state = "ended";
      const why = this.#why ?? `it ended with code ${code}`;
      for (const { reject } of this.#waiting.values()) reject(new WorkerFailure(why));
      this.#waiting.clear();
      resolve(why);
    });
  }

  /** Rejects with a `WorkerFailure` where the worker fails, ends, or says nothing for so long. */
  async ask<C extends WorkerCall>(call: C, input: Input<C>, timeoutMs?: number): Promise<Answer<C>> {
    if (this.state === "ended") throw new WorkerFailure("it has ended");
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = ++this.#lastId;
    this.#waiting.set(id, { resolve, reject });
    this.#worker.postMessage({ id, call, input } satisfies WorkerRequest);
    const silent = () => reject(new WorkerFailure(`it did not answer within ${timeoutMs} ms`));
    const timer = timeoutMs === undefined ? undefined : setTimeout(silent, timeoutMs);
    try {
      return (await promise) as Answer<C>;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /** Ends the thread at once, whatever it is doing. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #hear(told: WorkerReply, listener: WorkerListener): void {
    if (told.kind === "answer") this.#waiting.get(told.id)?.resolve(told.answer);
    else if (told.kind === "failure") this.#waiting.get(told.id)?.reject(new WorkerFailure(told.why));
    else if (told.kind === "access") listener.access(told.lines, told.count);
    else if (told.kind === "log") listener.log(told.line);
    else {
      this.#why = told.why;
      this.counts = told.counts ?? this.counts;
    }
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY" ? "it ran out of memory" : String(error.stack);
}

/** A message this large is worth sending; smaller ones wait for more lines or for the timer. */
const batchChars = 8 * 1024;
const postAfterMs = 1_000;

/**
 * A worker's access log on its way to the main thread, which alone writes. Written by each worker itself, lines would
 * tear: a pipe takes at most 4096 bytes as one piece, less than one long line may have.
 */
export class PostedLines implements LineDestination {
  readonly #post: (lines: string, count: number) => void;
  #pending = "";
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(post: (lines: string, count: number) => void) {
    this.#post = post;
  }

  write(line: string): void {
    this.#pending += line;
    this.#count++;
    if (this.#pending.length >= batchChars) this.#handOver();
    else this.#timer ??= setTimeout(() => this.#handOver(), postAfterMs);
  }

  /** Resolves once every line so far is on its way; whether it is written the main thread knows. */
  async flush(): Promise<void> {
    this.#handOver();
  }

  async close(): Promise<void> {
    this.#handOver();
  }

  #handOver(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#count > 0) this.#post(this.#pending, this.#count);
    this.#pending = "";
    this.#count = 0;
  }
}
