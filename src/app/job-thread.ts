import { type ResourceLimits, Worker } from "node:worker_threads";

/** Why a job has no answer. The thread has ended. */
export type GivenUpCause = "too-long" | "out-of-memory" | "ended" | "closed";

export type JobOutcome<Reply> =
  | { readonly kind: "reply"; readonly reply: Reply }
  | { readonly kind: "given-up"; readonly cause: GivenUpCause };

export interface JobThreadParts {
  readonly name: string;
  /** What the thread runs. It answers each message with one. */
  readonly entry: URL;
  /** How long the thread waits for another job. */
  readonly idleMs: number;
  /** How long an answer may take. */
  readonly timeLimitMs: number;
  readonly resourceLimits?: ResourceLimits;
}

/**
 * A thread for what takes long, which must not run in a thread that serves. It starts with a job, and ends a while after
 * the last, so that it holds no memory. One job at a time.
 */
export class JobThread<Job, Reply> {
  readonly #parts: JobThreadParts;
  #worker: Worker | undefined;
  #end: ((outcome: JobOutcome<Reply>) => void) | undefined;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(parts: JobThreadParts) {
    this.#parts = parts;
  }

  /** Whether there is a thread now. */
  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  /** Only once the job before has ended. `make` is told whether the thread is new, and so without state of earlier jobs. */
  async ask(make: (thread: "new" | "known") => Job): Promise<JobOutcome<Reply>> {
    if (this.#closed) return { kind: "given-up", cause: "closed" };
    const { timeLimitMs, idleMs } = this.#parts;
    const { promise, resolve } = Promise.withResolvers<JobOutcome<Reply>>();
    this.#end = resolve;
    clearTimeout(this.#idle);
    const limit = setTimeout(() => void this.#giveUp("too-long"), timeLimitMs).unref();
    try {
      const job = make(this.isRunning ? "known" : "new");
      this.#worker ??= this.#start();
      this.#worker.postMessage(job);
      return await promise;
    } finally {
      clearTimeout(limit);
      this.#end = undefined;
      this.#idle = setTimeout(() => void this.#endThread(), idleMs).unref();
    }
  }

  /** Ends the thread at once; a pending job is rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#giveUp("closed");
  }

  #start(): Worker {
    const { entry, name, resourceLimits } = this.#parts;
    const worker = new Worker(entry, { name, ...(resourceLimits && { resourceLimits }) });
    worker.unref();
    worker.on("message", (reply: Reply) => {
      if (this.#worker === worker) this.#end?.({ kind: "reply", reply });
    });
    let cause: GivenUpCause = "ended";
    worker.on("error", (error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY") {
        cause = "out-of-memory";
      }
    });
    worker.on("exit", () => {
      if (this.#worker === worker) void this.#giveUp(cause);
    });
    return worker;
  }

  async #giveUp(cause: GivenUpCause): Promise<void> {
    this.#end?.({ kind: "given-up", cause });
    await this.#endThread();
  }

  async #endThread(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}
