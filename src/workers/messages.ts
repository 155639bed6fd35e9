import type { AddressInfo } from "node:net";
import { type ConfigSources, type LoadedConfig, loadConfigText } from "../config/load.ts";
import type { PortableConfig } from "../config/portable/portable-config.ts";
import type { Environment } from "../config/schema-kit/yaml-tree.ts";
import { type DatabaseContents, GeoDatabase } from "../identify/geo-database.ts";
import type { DecisionBatch } from "../observe/live/decision-tail.ts";
import type { TrafficCounts } from "../observe/live/traffic-counts.ts";
import type { LogLevel } from "../observe/log.ts";
import type { RolloutReport } from "../observe/rollout/rollout-report.ts";
import type { Directions } from "../observe/rollout/rollout-taps.ts";
import type { StatsCounts } from "../observe/stats-transfer.ts";
import type { HealthState } from "../upstream/endpoint-health.ts";
import type { SliceRecords } from "../upstream/received-slices.ts";

export interface StartInput {
  /** The worker's number, from 1, as in the log. */
  readonly worker: number;
  /** The number of workers. */
  readonly workers: number;
  readonly config: ConfigInput;
  /** What the rollouts want now. */
  readonly directions: Directions;
  /** Where endpoints in Kubernetes are now. */
  readonly slices: SliceRecords;
  /** As of `watchDecisions`. */
  readonly areDecisionsWatched: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logLevel: LogLevel;
  /** The keys of TLS session tickets, shared because a client may return to another worker. */
  readonly ticketKeys: Uint8Array;
  /** What is exercised before the worker listens. Default: nothing. */
  readonly warmUp?: WarmUpSpec | undefined;
}

/** How the code that serves is exercised before the first request. */
export interface WarmUpSpec {
  /** An address of this machine; free ports of it are used. */
  readonly host: string;
  /** Maximum time in milliseconds. It ends earlier once enough requests were answered. */
  readonly limitMs: number;
}

export interface ListenInput {
  /** The ports of the first worker, in the order of the listeners (0 for a unix socket); undefined for the first. */
  readonly ports: readonly number[] | undefined;
  readonly unixSockets: "here" | "elsewhere";
}

export interface BoundListener {
  readonly name: string;
  /** A string is the path of a unix socket. */
  readonly address: AddressInfo | string;
}

export type StartAnswer =
  | { readonly kind: "serving"; readonly listeners: readonly BoundListener[] }
  /** Lines for the user. */
  | { readonly kind: "failed"; readonly problems: readonly string[] };

/** A worker's counts since it started, and its endpoint health. */
export interface WorkerCounts {
  readonly stats: StatsCounts;
  /** By `endpointKey`; only endpoints whose state has ever changed. */
  readonly health: ReadonlyMap<string, HealthState>;
  /** Until when the connections of an endpoint carry one request each. By `endpointKey`; only where that ever was. */
  readonly singleUse: ReadonlyMap<string, number>;
}

/** The calls from the main thread to a worker: input and answer of each, which must be cloneable. */
export interface WorkerCalls {
  /** Compiles the configuration, warms up, and waits for the first DNS answers. */
  start: [StartInput, undefined];
  listen: [ListenInput, StartAnswer];
  /** Takes over what has changed, and builds its snapshot without activating it. */
  prepare: [PrepareInput, undefined];
  /** Activates the snapshot prepared last. */
  commit: [Directions, undefined];
  /** Replaces what is done for rollouts, from the next decision on. */
  direct: [Directions, undefined];
  /** Where endpoints in Kubernetes are that have moved. */
  slices: [SliceRecords, undefined];
  counts: [undefined, WorkerCounts];
  /** The requests of each release so far: little, since it is asked for every second. */
  traffic: [undefined, TrafficCounts];
  /** Whether to send sampled decisions. */
  watchDecisions: [boolean, undefined];
  /** From now on every response closes its connection. */
  drain: [undefined, undefined];
  /** Stops accepting, and answers once the last request has ended. */
  close: [undefined, undefined];
  /** Aborts the requests that `close` waits for. */
  abort: [undefined, undefined];
  /** Stops everything and sends the last access log lines. The last call. */
  dispose: [undefined, undefined];
}

export type WorkerCall = keyof WorkerCalls;
export type Input<C extends WorkerCall> = WorkerCalls[C][0];
export type Answer<C extends WorkerCall> = WorkerCalls[C][1];

/** Main thread to worker. Started in the order sent, answered in any order. */
export interface WorkerRequest {
  readonly id: number;
  readonly call: WorkerCall;
  readonly input: unknown;
}

/** Worker to main thread. */
export type WorkerReply =
  | { readonly kind: "answer"; readonly id: number; readonly answer: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly why: string }
  /** Whole lines for the access log. */
  | { readonly kind: "access"; readonly lines: string; readonly count: number }
  /** A whole line for Perch's own log. */
  | { readonly kind: "log"; readonly line: string }
  /** What it saw of a rollout. */
  | { readonly kind: "rollout"; readonly report: RolloutReport }
  /** A sample of what it decided, while that is watched. */
  | { readonly kind: "decisions"; readonly batch: DecisionBatch }
  /** The last message before the worker exits because of an error. */
  | { readonly kind: "dying"; readonly why: string; readonly counts: WorkerCounts | undefined };

export const endpointKey = (endpoint: {
  readonly service: string;
  readonly version: string;
  readonly origin: string;
}): string => `${endpoint.service} ${endpoint.version} ${endpoint.origin}`;

/** A configuration in place of the one that a worker runs, as the main thread's was made, and in shared memory. */
export interface PrepareInput {
  readonly portable: PortableConfig;
  readonly hash: string;
  readonly database: DatabaseContents | undefined;
}

/**
 * The configuration that a worker starts with, which it compiles by itself. No file is read again, since it may have
 * changed.
 */
export interface ConfigInput extends ConfigSources {
  /** The file's name in messages, and the base of relative paths. */
  readonly file: string;
  /** The random secrets of releases without a `secretFile`. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** The hash of the main thread's result, which the worker's must equal. */
  readonly hash: string;
}

/** Throws if the result differs from that of the main thread. */
export function compileInput(input: ConfigInput, env: Environment): LoadedConfig {
  const loaded = loadConfigText(input.text, {
    file: input.file,
    env,
    readFile: (path) => sent(input.files, path),
    randomSecret: (release) => sent(input.secrets, release),
    openDatabase: () => GeoDatabase.open(input.database ?? noDatabase),
  });
  if (!loaded.ok) throw new TypeError(`the configuration does not compile: ${loaded.problems[0]?.message}`);
  if (loaded.hash !== input.hash) {
    throw new TypeError(`the configuration has the hash ${loaded.hash}, expected ${input.hash}`);
  }
  return loaded;
}

const noDatabase = { bytes: new Uint8Array(), digest: "" };

function sent(map: ReadonlyMap<string, Uint8Array>, key: string): Uint8Array {
  const bytes = map.get(key);
  if (bytes === undefined) throw new TypeError(`"${key}" was not sent to the worker`);
  return bytes;
}
