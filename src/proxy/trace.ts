import type { TracingSpec } from "../config/compiled-config.ts";
import type { RandomSource } from "../decide/unit.ts";
import type { Caller, RequestHead } from "../http/request-head.ts";
import type { RandomFraction } from "../upstream/clock.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { AttemptFailure } from "./attempt-failure.ts";

/** One attempt, for its span. Times are of the monotonic clock. */
export interface TracedAttempt {
  readonly spanId: string;
  readonly version: string;
  readonly endpoint: Endpoint;
  readonly startedMs: number;
  endedMs: number | undefined;
  outcome: "open" | "answered" | AttemptFailure;
}

/** The clock and the randomness that a trace is made from. */
export interface TraceSources {
  nowMs(): number;
  readonly randomUnit: RandomSource;
  readonly randomFraction: RandomFraction;
}

/** A request's trace context (W3C Trace Context) and its attempts. */
export class Trace {
  readonly traceId: string;
  /** Of the server span. */
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly isSampled: boolean;
  /** The `tracestate` to send upstream; empty if there is none. */
  readonly state: string;
  /** Monotonic clock and wall clock at the request's start. */
  readonly startedMs: number;
  readonly startedAtMs: number;
  readonly attempts: TracedAttempt[] = [];
  readonly #flags: number;
  readonly #random: RandomSource;

  constructor(spec: TracingSpec, head: RequestHead, caller: Caller, sources: TraceSources, startedMs: number) {
    const sent = isBelieved(spec, caller) ? head.header("traceparent") : undefined;
    const parent = typeof sent === "string" ? parseTraceParent(sent) : undefined;
    this.#random = sources.randomUnit;
    this.traceId = parent?.traceId ?? hex(this.#random, 4);
    this.spanId = hex(this.#random, 2);
    this.parentId = parent?.parentId;
    // An untrusted client may choose the trace id, but not force sampling, which could flood the collector.
    const decided = parent !== undefined && caller.trusted ? parent.flags & sampledFlag : undefined;
    const sampled = decided ?? (sources.randomFraction() < spec.sample ? sampledFlag : 0);
    this.isSampled = sampled !== 0;
    this.state = parent === undefined ? "" : head.headerLines("tracestate").join(",");
    this.#flags = ((parent?.flags ?? 0) & randomFlag) | sampled;
    this.startedMs = startedMs;
    this.startedAtMs = sources.nowMs();
  }

  /** An attempt begins. Attempts are recorded only if the trace is sampled. */
  attempt(endpoint: Endpoint, version: string, startedMs: number): void {
    if (!this.isSampled) return;
    const spanId = hex(this.#random, 2);
    this.attempts.push({ spanId, version, endpoint, startedMs, endedMs: undefined, outcome: "open" });
  }

  attemptIs(outcome: TracedAttempt["outcome"]): void {
    const last = this.attempts.at(-1);
    if (last !== undefined) last.outcome = outcome;
  }

  attemptEnded(endedMs: number): void {
    const last = this.attempts.at(-1);
    if (last !== undefined) last.endedMs ??= endedMs;
  }

  /** The flat fields for the current attempt. */
  fields(): string[] {
    return this.#fieldsOf(this.attempts.at(-1)?.spanId ?? this.spanId);
  }

  /** The flat fields for a mirrored request, which has no span of its own. */
  copyFields(): string[] {
    return this.#fieldsOf(this.spanId);
  }

  #fieldsOf(parentId: string): string[] {
    const parent = formatTraceParent({ traceId: this.traceId, parentId, flags: this.#flags });
    const fields = ["traceparent", parent];
    return this.state === "" ? fields : [...fields, "tracestate", this.state];
  }
}

/** Whether the trace that this caller sent is continued. */
export function isBelieved({ trustIncoming }: TracingSpec, { trusted }: Caller): boolean {
  return trustIncoming === "anyone" || (trustIncoming === "proxies" && trusted);
}

/** A random id of `words` × 32 bits. All zeros would be invalid. */
function hex(random: RandomSource, words: number): string {
  let text = "";
  for (let word = 0; word < words; word++) text += (random.int32() >>> 0).toString(16).padStart(8, "0");
  return /[1-9a-f]/.test(text) ? text : hex(random, words);
}

/** A parsed `traceparent` (https://www.w3.org/TR/trace-context/). */
export interface TraceParent {
  readonly traceId: string;
  readonly parentId: string;
  readonly flags: number;
}

export const sampledFlag = 0x01;
/** Level 2: the trace id is random. Copied from the parent, never set here. */
const randomFlag = 0x02;

/** Lower case only. Later versions may append fields after another dash; version `ff` is invalid. */
const pattern = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Undefined if malformed: a new trace then begins (§3.2.2.3 to §3.2.2.5, §4.3). */
export function parseTraceParent(text: string): TraceParent | undefined {
  const parts = pattern.exec(text);
  if (parts === null) return undefined;
  const [, version, traceId = "", parentId = "", flags = "", more] = parts;
  if (version === "00" && more !== undefined) return undefined;
  return { traceId, parentId, flags: Number.parseInt(flags, 16) };
}

/** Always version 00, whatever version was received. */
export function formatTraceParent({ traceId, parentId, flags }: TraceParent): string {
  return `00-${traceId}-${parentId}-${flags.toString(16).padStart(2, "0")}`;
}
