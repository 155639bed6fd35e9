import { loadConfigText } from "../../src/config/load.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { ActiveSnapshot } from "../../src/proxy/active-snapshot.ts";
import type { Snapshot } from "../../src/proxy/snapshot.ts";
import { EndpointRegistry, noopEndpointEvents } from "../../src/upstream/endpoint-registry.ts";

export interface SnapshotOptions {
  readonly stats?: StatsRegistry;
  readonly endpoints?: EndpointRegistry;
  /** The contents of every file that the configuration names, and the secret that signs pins. */
  readonly secret?: Uint8Array;
}

/** The active snapshot of a configuration, without a server. */
export function activeSnapshot(yaml: string, options: SnapshotOptions = {}): ActiveSnapshot {
  const { stats = new StatsRegistry(), secret = new Uint8Array(32) } = options;
  const { endpoints = new EndpointRegistry(noopEndpointEvents) } = options;
  const files = { readFile: () => secret, randomSecret: () => secret };
  const loaded = loadConfigText(yaml, { file: "perch.yaml", env: {}, ...files });
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
  return new ActiveSnapshot(stats, endpoints, loaded.compiled, loaded.hash);
}

export const snapshotOf = (yaml: string, options: SnapshotOptions = {}): Snapshot =>
  activeSnapshot(yaml, options).current;
