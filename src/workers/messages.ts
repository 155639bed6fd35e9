import type { AddressInfo } from "node:net";
import { type ConfigSources, type LoadedConfig, loadConfigText } from "../config/load.ts";
import type { Environment } from "../config/schema-kit/yaml-tree.ts";
import { GeoDatabase } from "../identify/geo-database.ts";
import type { LogLevel } from "../observe/log.ts";
import type { StatsCounts } from "../observe/stats-transfer.ts";
import type { HealthState } from "../upstream/endpoint-health.ts";

export interface StartInput {
  /** From 1 up; it stands in the log. */
  readonly worker: number;
  /** How many there are. */
  readonly workers: number;
  readonly config: ConfigInput;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logLevel: LogLevel;
  /** What TLS session tickets are sealed with: a client may come back to another worker. */
  readonly ticketKeys: Uint8Array;
  /** The ports that the first worker got, in the listeners' order (0 for a unix socket); undefined for the first. */
  readonly ports: readonly number[] | undefined;
}

export interface BoundListener {
  readonly name: string;
  /** A text where it is a unix socket: its path. */
  readonly address: AddressInfo | string;
}

export type StartAnswer =
  | { readonly kind: "serving"; readonly listeners: readonly BoundListener[] }
  /** Lines for the person who started Perch. */
  | { readonly kind: "failed"; readonly problems: readonly string[] };

/** What a worker counted since it started, and what it believes of endpoints. */
export interface WorkerCounts {
  readonly stats: StatsCounts;
  /** What it believes of endpoints, by `endpointKey`: those of which anything was ever found out. */
  readonly beliefs: ReadonlyMap<string, HealthState>;
}

/** What the main thread asks of a worker: the input and the answer of each call. All of it can be cloned. */
export interface WorkerCalls {
  start: [StartInput, StartAnswer];
  /** Compiles the configuration and builds its snapshot aside. Fails with a reason in words. */
  prepare: [ConfigInput, undefined];
  /** Swaps what was prepared last. */
  commit: [undefined, undefined];
  counts: [undefined, WorkerCounts];
  /** Every answer closes its connection from now on. */
  drain: [undefined, undefined];
  /** Stops accepting, and answers once the last request has ended. */
  close: [undefined, undefined];
  /** Breaks off what `close` waits for. */
  breakOff: [undefined, undefined];
  /** Sends off the last lines; nothing is asked after it. */
  free: [undefined, undefined];
}

export type WorkerCall = keyof WorkerCalls;
export type Input<C extends WorkerCall> = WorkerCalls[C][0];
export type Answer<C extends WorkerCall> = WorkerCalls[C][1];

/** Main thread to worker. Answered in any order, begun in the order sent. */
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
  /** Said last, by a worker that can not go on. */
  | { readonly kind: "dying"; readonly why: string; readonly counts: WorkerCounts | undefined };

export const endpointKey = (endpoint: {
  readonly service: string;
  readonly version: string;
  readonly origin: string;
}): string => `${endpoint.service} ${endpoint.version} ${endpoint.origin}`;

/**
 * A configuration as it travels to a worker: it holds functions once compiled, which cannot be sent, so each worker
 * compiles the same input. Nothing is read from the disk again, where it may be another file by now.
 */
export interface ConfigInput extends ConfigSources {
  /** The file's name in messages, and where relative paths start. */
  readonly file: string;
  /** The random secrets of releases without a secretFile. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** What must come of it. */
  readonly hash: string;
}

/** Throws where the input does not give the configuration that it gave in the main thread. */
export function compileInput(input: ConfigInput, env: Environment): LoadedConfig {
  const loaded = loadConfigText(input.text, {
    file: input.file,
    env,
    readFile: (path) => known(input.files, path),
    randomSecret: (release) => known(input.secrets, release),
    openDatabase: () => GeoDatabase.open(input.database ?? noDatabase),
  });
  if (!loaded.ok) throw new TypeError(`the configuration does not compile: ${loaded.problems[0]?.message}`);
  if (loaded.hash !== input.hash) throw new TypeError(`the configuration has the hash ${loaded.hash}`);
  return loaded;
}

const noDatabase = { bytes: new Uint8Array(), digest: "" };

function known(map: ReadonlyMap<string, Uint8Array>, key: string): Uint8Array {
  const bytes = map.get(key);
  if (bytes === undefined) throw new TypeError(`"${key}" is not among what was sent`);
  return bytes;
}
