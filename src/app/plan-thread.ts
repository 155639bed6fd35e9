import { extname } from "node:path";
import type { PlanAnswer, Planner, PreviewAnswer } from "../admin/plan-bodies.ts";
import { diagnoseFile, formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import type { ReleaseSpec, Weights } from "../decide/release-spec.ts";
import type { ReleaseTraffic } from "../decide/release-traffic.ts";
import { splitProblem } from "../rollout/world.ts";
import { type GivenUpCause, JobThread } from "./job-thread.ts";
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
/** The one that is being answered, and those that wait: a slider that is moved asks again before it has an answer. */
const maxInLine = 4;
const busy = { kind: "busy", message: "Too many plans are being computed; try again in a moment." } as const;
const defaultTimeLimitMs = 10_000;

/**
 * Computes in a separate thread what configurations and splits would do: it takes long, so it must not
 * run in a thread that serves requests. One question at a time: others wait in line, and are refused once it is long.
 */
export class PlanThread implements Planner {
  readonly #parts: PlanThreadParts;
  readonly #thread: JobThread<PlanJob, PlanReply>;
  /** Of the configuration that the thread has. */
  #sentHash: string | undefined;
  #inLine = 0;
  /** Fulfilled once the last in line has its answer. */
  #last: Promise<void> = Promise.resolve();

  constructor(parts: PlanThreadParts) {
    const { entry = defaultEntry, idleMs = 30_000, timeLimitMs = defaultTimeLimitMs } = parts;
    this.#parts = parts;
    this.#thread = new JobThread({ name: "plan", entry, idleMs, timeLimitMs, resourceLimits });
  }

  /** Whether there is a thread now. */
  get isRunning(): boolean {
    return this.#thread.isRunning;
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

  /** Ends the thread at once; all in line get an answer. */
  async close(): Promise<void> {
    await this.#thread.close();
  }

  /** The type of the answer is that of the question. Rejects if it failed by a bug. */
  async #ask(question: PlanQuestion): Promise<PlanAnswer | PreviewAnswer> {
    if (this.#inLine === maxInLine) return busy;
    this.#inLine++;
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    try {
      await before;
      return await this.#answer(question);
    } finally {
      this.#inLine--;
      resolve();
    }
  }

  async #answer(question: PlanQuestion): Promise<PlanAnswer | PreviewAnswer> {
    const outcome = await this.#thread.ask((thread) => this.#jobOf(question, thread));
    if (outcome.kind === "given-up") return { kind: "busy", message: this.#messageOf(outcome.cause) };
    const { reply } = outcome;
    if (reply.kind === "answer") return reply.answer;
    // The thread has dropped the configuration.
    this.#sentHash = undefined;
    throw new Error(`a plan could not be made: ${reply.why}`);
  }

  #jobOf(question: PlanQuestion, thread: "new" | "known"): PlanJob {
    const active = this.#parts.active();
    const isSent = thread === "known" && active.hash === this.#sentHash;
    this.#sentHash = active.hash;
    return { question, active: isSent ? undefined : active };
  }

  #messageOf(cause: GivenUpCause): string {
    switch (cause) {
      case "too-long":
        return `It took longer than ${(this.#parts.timeLimitMs ?? defaultTimeLimitMs) / 1_000} s and was aborted.`;
      case "out-of-memory":
        return "It took more memory than a plan may use and was aborted.";
      case "ended":
        return "The thread that computes it has ended.";
      case "closed":
        return "Perch is stopping.";
    }
  }
}
