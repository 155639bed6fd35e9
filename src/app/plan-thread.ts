import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { PlanAnswer, Planner, PreviewAnswer } from "../admin/plan-bodies.ts";
import { diagnoseFile, formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import type { ReleaseSpec, Weights } from "../decide/release-spec.ts";
import type { ReleaseTraffic } from "../decide/release-traffic.ts";
import { splitProblem } from "../rollout/world.ts";
import type { ActiveInput } from "./planned-config.ts";

export interface PlanJob {
  /** Undefined: the same as with the job before. */
  readonly active: ActiveInput | undefined;
  readonly question: PlanQuestion;
}

type PlanQuestion =
  | { readonly kind: "plan"; readonly text: string }
  | {
      readonly kind: "preview";
      readonly release: string;
      readonly split: Weights;
      readonly traffic: ReleaseTraffic | undefined;
    };

export type PlanReply =
  | { readonly kind: "answer"; readonly answer: PlanAnswer | PreviewAnswer }
  | { readonly kind: "failure"; readonly why: string };

/** `given-up`: the thread has ended; the message is for whoever asked. */
type Outcome = PlanReply | { readonly kind: "given-up"; readonly message: string };

export interface PlanThreadParts {
  readonly active: () => ActiveInput;
  /** A release of the active configuration. */
  readonly release: (name: string) => ReleaseSpec | undefined;
  /** What holds now of a release beside the configuration. */
  readonly traffic: (release: string) => ReleaseTraffic | undefined;
  /** How long the thread waits for another question. Default: 30 s. */
  readonly idleMs?: number;
  /** How long an answer may take. Default: 10 s. */
  readonly timeLimitMs?: number;
  /** What the thread runs; default: `plan-main`. */
  readonly entry?: URL;
}

// tsc does not rewrite this name, so the extension comes from this file, built or not.
const defaultEntry = new URL(`./plan-main${extname(import.meta.url)}`, import.meta.url);

const maxTextBytes = 1024 * 1024;
const resourceLimits = { maxOldGenerationSizeMb: 256 };
const busy = { kind: "busy", message: "Another plan is being made; try again in a moment." } as const;
const stopping = "Perch is stopping.";

/**
 * Answers in a thread of its own what configurations and splits would do: that takes long, and what takes long must not
 * run in a thread that serves. The thread starts with a question, and ends a while after the last. One question at a time.
 */
export class PlanThread implements Planner {
  readonly #parts: PlanThreadParts;
  #worker: Worker | undefined;
  /** Of the configuration that the thread has. */
  #sentHash: string | undefined;
  #end: ((outcome: Outcome) => void) | undefined;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(parts: PlanThreadParts) {
    this.#parts = parts;
  }

  /** Whether there is a thread now. */
  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  async plan(text: string): Promise<PlanAnswer> {
    if (Buffer.byteLength(text) > maxTextBytes) {
      const tooLarge = "the configuration is larger than 1 MiB; run perch plan where the file is";
      return { kind: "invalid", problems: [formatDiagnostic(diagnoseFile(this.#parts.active().file, tooLarge))] };
    }
    return (await this.#ask({ kind: "plan", text })) as PlanAnswer;
  }

  async previewSplit(release: string, split: Weights): Promise<PreviewAnswer> {
    const spec = this.#parts.release(release);
    if (spec === undefined) return { kind: "no-release", message: `There is no release ${release}.` };
    const message = splitProblem(spec.versions, split, undefined);
    if (message !== undefined) return { kind: "invalid", message };
    const traffic = this.#parts.traffic(release);
    return (await this.#ask({ kind: "preview", release, split, traffic })) as PreviewAnswer;
  }

  /** Ends the thread at once; a question that waits is answered. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#giveUp(stopping);
  }

  /** The type of the answer is that of the question. Rejects if it failed by a bug. */
  async #ask(question: PlanQuestion): Promise<PlanAnswer | PreviewAnswer> {
    if (this.#closed) return { kind: "busy", message: stopping };
    if (this.#end !== undefined) return busy;
    const { timeLimitMs = 10_000, idleMs = 30_000 } = this.#parts;
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#end = resolve;
    clearTimeout(this.#idle);
    const tooLong = `It took longer than ${timeLimitMs / 1_000} s, so it was given up.`;
    const limit = setTimeout(() => void this.#giveUp(tooLong), timeLimitMs).unref();
    try {
      this.#post(question);
      const outcome = await promise;
      return this.#answerIn(outcome);
    } finally {
      clearTimeout(limit);
      this.#end = undefined;
      this.#idle = setTimeout(() => void this.#endThread(), idleMs).unref();
    }
  }

  #answerIn(outcome: Outcome): PlanAnswer | PreviewAnswer {
    if (outcome.kind === "given-up") return { kind: "busy", message: outcome.message };
    if (outcome.kind === "answer") return outcome.answer;
    // The thread has dropped the configuration.
    this.#sentHash = undefined;
    throw new Error(`a plan could not be made: ${outcome.why}`);
  }

  #post(question: PlanQuestion): void {
    this.#worker ??= this.#start();
    const active = this.#parts.active();
    const job: PlanJob = { question, active: active.hash === this.#sentHash ? undefined : active };
    this.#sentHash = active.hash;
    this.#worker.postMessage(job);
  }

  #start(): Worker {
    const worker = new Worker(this.#parts.entry ?? defaultEntry, { name: "plan", resourceLimits });
    worker.unref();
    worker.on("message", (reply: PlanReply) => {
      if (this.#worker === worker) this.#end?.(reply);
    });
    let message = "The thread that works it out ended, so it was given up.";
    worker.on("error", (error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY") {
        message = "It took more memory than a plan may take, so it was given up.";
      }
    });
    worker.on("exit", () => {
      if (this.#worker === worker) void this.#giveUp(message);
    });
    return worker;
  }

  async #giveUp(message: string): Promise<void> {
    this.#end?.({ kind: "given-up", message });
    await this.#endThread();
  }

  async #endThread(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    this.#sentHash = undefined;
    await worker?.terminate();
  }
}
