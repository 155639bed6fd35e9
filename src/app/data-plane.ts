import type { AddressInfo } from "node:net";
import type { ListenerSpec } from "../config/compiled-config.ts";
import { addressText } from "../config/sections/listener.ts";
import type { TrafficCounts } from "../observe/live/traffic-counts.ts";
import type { Logger } from "../observe/log.ts";
import type { RolloutReport } from "../observe/rollout/rollout-report.ts";
import type { Directions } from "../observe/rollout/rollout-taps.ts";
import type { ActiveSnapshot } from "../proxy/active-snapshot.ts";
import type { EndpointRegistry } from "../upstream/endpoint-registry.ts";
import type { BoundListener } from "../workers/messages.ts";
import type { ReloadedConfig } from "./config-thread.ts";

/**
 * A configuration that the whole data plane has built and can activate, or why it could not. What it does for rollouts
 * from its first request on is given with the commit.
 */
export type Preparation =
  | { readonly kind: "prepared"; commit(directions: Directions): Promise<void> }
  | { readonly kind: "failed"; readonly why: string };

export type Acceptance = "ready" | "starting" | "no-worker" | "no-socket-worker";

/** Serves requests: in the main thread, or in workers. */
export interface DataPlane {
  /** What the admin server reads; with workers a copy that serves no requests. */
  readonly active: ActiveSnapshot;
  readonly endpoints: EndpointRegistry;
  /** The number of serving threads and of restarts. */
  readonly workers: { readonly serving: number; readonly restarts: number };
  /** Whether every listener accepts connections now, or why one does not. */
  readonly acceptance: Acceptance;
  /** Rejects with a `StartError`. */
  listen(): Promise<readonly BoundListener[]>;
  /** Builds the next snapshot in slices, without activating it. */
  prepare(loaded: ReloadedConfig): Promise<Preparation>;
  /**
   * Replaces what is done for rollouts: who gets which version, and what is asked of the answers. It applies to the next
   * decision in the main thread before this returns, and in every worker once the promise resolves.
   */
  direct(directions: Directions): Promise<void>;
  /** Updates stats and endpoint health, with workers from all of them. */
  refresh(): Promise<void>;
  /**
   * The requests of each release since this process started. It costs little and soon resolves: with workers, one that
   * is slow is counted as it was before.
   */
  traffic(): Promise<TrafficCounts>;
  /** Whether it hands sampled decisions to whom it was made with. At first it does not. */
  watchDecisions(areWatched: boolean): void;
  /** From now on every response closes its connection. */
  drain(): void;
  /** Stops accepting, and resolves once the last request has ended. */
  close(): Promise<void>;
  /** Aborts the requests that `close` waits for. */
  abort(): void;
  /** Stops everything at once. */
  dispose(): Promise<void>;
}

/** Perch cannot start; each problem is a line for the user. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** Turns an error of `listen` into a line that says what to do. */
export async function bound<T>(what: string, address: ListenerSpec["address"], listen: () => Promise<T>): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const hint = ("path" in address ? socketHints : portHints)[code] ?? code;
    throw new StartError([`perch: ${what} cannot listen on ${addressText(address)}: ${hint}`]);
  }
}

const portHints: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use (EADDRINUSE); stop the other process or choose another port",
  EACCES: "permission denied (EACCES); use a port from 1024 up, or grant CAP_NET_BIND_SERVICE",
  EADDRNOTAVAIL: "this machine has no such address (EADDRNOTAVAIL)",
  ENOTFOUND: "the host name cannot be resolved (ENOTFOUND)",
};

const socketHints: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens on this socket (EADDRINUSE); stop it or choose another path",
  ENOTSOCK: "the path exists and is not a socket (ENOTSOCK); remove it or choose another path",
  // libuv reports EACCES for a missing directory as well.
  EACCES: "the directory does not exist, or the user that runs Perch cannot write to it (EACCES)",
};

/** Formats the result of a server's `address()`; a string is a unix socket's path. */
export function formatAddress(bound: AddressInfo | string): string {
  if (typeof bound === "string") return `unix:${bound}`;
  const { address, port, family } = bound;
  return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Requests have ended, and neither they nor this process must suffer from what a judge of rollouts throws. */
export function judgedSafely(judge: (report: RolloutReport) => void, log: Logger): (report: RolloutReport) => void {
  return (report) => {
    try {
      judge(report);
    } catch (error) {
      log.error({ err: error, release: report.release }, "a rollout could not be judged (a bug in Perch)");
    }
  };
}
