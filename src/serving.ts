import type { LoadedConfig } from "./config/load.ts";
import type { ActiveSnapshot } from "./proxy/active-snapshot.ts";
import type { EndpointRegistry } from "./upstream/endpoint-registry.ts";
import type { BoundListener } from "./workers/messages.ts";

/** A configuration that everything which serves has built aside, or why not all of it could. */
export type Preparation =
  | { readonly kind: "prepared"; commit(): Promise<void> }
  | { readonly kind: "failed"; readonly why: string };

/** What takes requests: one data plane in the main thread, or workers with one each. */
export interface Serving {
  /** What the admin server shows and explains by; with workers nothing but their sum. */
  readonly active: ActiveSnapshot;
  readonly endpoints: EndpointRegistry;
  /** How many threads serve, and how many were replaced. */
  readonly workers: { readonly serving: number; readonly restarts: number };
  /** Rejects with a `StartError`. */
  listen(): Promise<readonly BoundListener[]>;
  prepare(loaded: LoadedConfig): Promise<Preparation>;
  /** Brings cells and endpoints up to what has been counted until now. */
  refresh(): Promise<void>;
  /** From now on every answer closes its connection. */
  drain(): void;
  /** Stops accepting, and resolves once the last request has ended. */
  close(): Promise<void>;
  /** Breaks off whatever `close` still waits for. */
  breakOff(): void;
  /** Frees everything at once. */
  free(): Promise<void>;
}
