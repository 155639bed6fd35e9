/** Jobs and results of the load generator. */
import type { Verdict } from "../judge.ts";
import type { User } from "../users.ts";

interface Target {
  readonly port: number;
  readonly connections: number;
}

interface Requests extends Target {
  readonly tls: boolean;
  /** See `request-file.ts`. */
  readonly requestFile: string;
  /** The body of every request. */
  readonly uploadBytes: number;
  /** The expected body of every response. */
  readonly bodyBytes: number;
}

export interface LearnJob extends Target {
  readonly kind: "learn";
  readonly users: number;
}

/** Every connection sends its next request after the response. */
export interface ClosedLoopJob extends Requests {
  readonly kind: "closed-loop";
  /** Undefined: until the next message. */
  readonly answers: number | undefined;
}

/** Requests start by the clock, independent of responses, at random intervals that are the same for each job. */
export interface OpenLoopJob extends Requests {
  readonly kind: "open-loop";
  /** On average. */
  readonly requestsPerSecond: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** Opens connections, sends one request on each, and keeps them until the next message. */
export interface IdleJob extends Requests {
  readonly kind: "idle";
}

export type GeneratorJob = LearnJob | ClosedLoopJob | OpenLoopJob | IdleJob;

export interface ClosedLoopResult {
  readonly answers: number;
  readonly verdict: Verdict;
}

export interface OpenLoopResult {
  readonly answers: number;
  /** Whether ever more requests waited for a connection: the rate is over the proxy's capacity. */
  readonly overloaded: boolean;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /**
   * The load's own lateness, which is part of the latencies: where it is more than a small part, the machine was busy.
   * Undefined where every request waited for a connection.
   */
  readonly ownDelayP99Ms: number | undefined;
  readonly verdict: Verdict;
}

/** The number of open connections, fewer than all where the proxy has closed some. */
export interface IdleResult {
  readonly open: number;
}

export interface GeneratorResults {
  readonly learn: readonly User[];
  readonly "closed-loop": ClosedLoopResult;
  readonly "open-loop": OpenLoopResult;
  readonly idle: IdleResult;
}

export type GeneratorMessage =
  /** An open loop sends its first request. */
  | { readonly kind: "started" }
  | { readonly kind: "result"; readonly result: GeneratorResults[GeneratorJob["kind"]] }
  | { readonly kind: "failed"; readonly why: string };
