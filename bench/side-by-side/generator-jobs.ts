/** What the benchmark asks of its own load generator, and what that answers. */
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
  /** Sent with every request. */
  readonly uploadBytes: number;
  /** Wanted of every answer. */
  readonly bodyBytes: number;
}

export interface LearnJob extends Target {
  readonly kind: "learn";
  readonly users: number;
}

/** Every connection sends its next request as soon as it has its answer. */
export interface ClosedLoopJob extends Requests {
  readonly kind: "closed-loop";
  /** Undefined goes on until the next message. */
  readonly answers: number | undefined;
}

/** Requests start when the clock says, whether or not others were answered. */
export interface OpenLoopJob extends Requests {
  readonly kind: "open-loop";
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
  /** More and more requests waited for a connection: the rate is beyond what the proxy can do. */
  readonly overloaded: boolean;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /**
   * How late the load itself was, which is in the latencies too: above a small part of them, the machine was busy. Undefined where
   * every request waited for a connection.
   */
  readonly ownDelayP99Ms: number | undefined;
  readonly verdict: Verdict;
}

/** How many connections are open: all of them, or the proxy has closed some. */
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
  | { readonly kind: "result"; readonly result: GeneratorResults[GeneratorJob["kind"]] }
  | { readonly kind: "failed"; readonly why: string };
