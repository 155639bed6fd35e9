import type { AddressInfo } from "node:net";
import type { ListenerSpec } from "../config/compiled-config.ts";
import type { LoadedConfig } from "../config/load.ts";
import { addressText } from "../config/sections/listener.ts";
import type { ActiveSnapshot } from "../proxy/active-snapshot.ts";
import type { EndpointRegistry } from "../upstream/endpoint-registry.ts";
import type { BoundListener } from "../workers/messages.ts";

/** A configuration that everything which serves has built aside, or why not all of it could. */
export type Preparation =
  | { readonly kind: "prepared"; commit(): Promise<void> }
  | { readonly kind: "failed"; readonly why: string };

/** What takes requests: one data plane in the main thread, or workers with one each. */
export interface DataPlane {
  /** What the admin server shows and explains by; with workers nothing but their sum. */
  readonly active: ActiveSnapshot;
  readonly endpoints: EndpointRegistry;
  /** How many threads serve, and how many were replaced. */
  readonly workers: { readonly serving: number; readonly restarts: number };
  /** Rejects with a `StartError`. */
  listen(): Promise<readonly BoundListener[]>;
  prepare(loaded: LoadedConfig): Promise<Preparation>;
  /** Brings stats and endpoints up to what has been counted until now. */
  refresh(): Promise<void>;
  /** From now on every answer closes its connection. */
  drain(): void;
  /** Stops accepting, and resolves once the last request has ended. */
  close(): Promise<void>;
  /** Breaks off whatever `close` still waits for. */
  abort(): void;
  /** Frees everything at once. */
  dispose(): Promise<void>;
}

/** Perch can not start as told; each problem is a line for the person who started it. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** Turns what the system says about an address into a line that says what to do. */
export async function bound<T>(what: string, address: ListenerSpec["address"], listen: () => Promise<T>): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const hint = ("path" in address ? socketHints : portHints)[code] ?? code;
    throw new StartError([`perch: ${what} can not listen on ${addressText(address)}: ${hint}`]);
  }
}

const portHints: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use (EADDRINUSE); stop the other process or choose another port",
  EACCES: "permission denied (EACCES); ports below 1024 need a privilege, choose a higher one",
  EADDRNOTAVAIL: "this machine has no such address (EADDRNOTAVAIL)",
  ENOTFOUND: "the host name is not known (ENOTFOUND)",
};

const socketHints: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process serves this socket (EADDRINUSE); stop it or choose another path",
  ENOTSOCK: "something that is no socket stands there (ENOTSOCK); remove it or choose another path",
  // libuv says so of a folder that is missing, too.
  EACCES: "its folder does not exist, or whoever runs Perch may not write there (EACCES)",
};

/** `address` as a server tells it: a text for a unix socket. */
export function formatAddress(bound: AddressInfo | string): string {
  if (typeof bound === "string") return `unix:${bound}`;
  const { address, port, family } = bound;
  return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
}
