import type { AutomatonData } from "../automaton.ts";
import type { CompiledConfig } from "../compiled-config.ts";
import type { ReplacementData } from "../pattern.ts";

/** The lists of a configuration, such as its routes, whose changes are sent item by item. */
export type SectionName = {
  [K in keyof CompiledConfig]: CompiledConfig[K] extends readonly unknown[] ? K : never;
}[keyof CompiledConfig];

/** By section: the fingerprints of its items, joined. */
export type Fingerprints = ReadonlyMap<SectionName, string>;

/**
 * A compiled configuration as plain data, for threads that serve. They must not wait for it, so it comes in small pieces
 * in shared memory, and has only what differs from the configuration that they all run.
 */
export interface PortableConfig {
  /** The hash of the configuration whose items it keeps. */
  readonly base: string;
  /** The pieces, each as `v8.serialize` writes it. */
  readonly bytes: SharedArrayBuffer;
  /** By piece: the place behind its end. */
  readonly ends: Int32Array;
  /** By section and position: the position of the same item in the base, or -1 - n for an item in piece n. */
  readonly sections: ReadonlyMap<SectionName, Int32Array>;
  /** The number of pieces that are a `ValuePiece`; they come first. All others are an item. */
  readonly valueCount: number;
  /** Everything that is not in a section, encoded. */
  readonly rest: unknown;
}

/** What items refer to. */
export type ValuePiece =
  | { readonly kind: "pattern"; readonly source: string; readonly automaton: AutomatonData }
  | { readonly kind: "replacement"; readonly data: ReplacementData }
  | { readonly kind: "bytes"; readonly digest: string; readonly bytes: Uint8Array }
  /** A part of a list of values. */
  | {
      readonly kind: "values";
      readonly path: string;
      readonly key: string;
      readonly texts: readonly string[];
      readonly isLast: boolean;
    }
  /** A part of a long list within an item. */
  | { readonly kind: "list"; readonly id: number; readonly items: readonly unknown[] };

/**
 * Stands in encoded data for a value that is no plain data: a map with one entry. Compiled configurations have no maps.
 */
export type Marker = ReadonlyMap<MarkerKind, unknown>;
export type MarkerKind =
  | "pattern"
  | "replacement"
  | "semver"
  | "range"
  | "values"
  | "bytes"
  | "list"
  | "geo"
  | "rollout";

export const replacementKey = (source: string, replacement: string): string => JSON.stringify([source, replacement]);
export const valuesKey = (path: string, key: string): string => JSON.stringify([path, key]);
