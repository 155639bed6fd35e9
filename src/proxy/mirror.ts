import type { MirrorSpec } from "../config/compiled-config.ts";
import { mirrorSeed, percentile } from "../decide/draw.ts";
import type { Unit } from "../decide/unit.ts";
import type { MirrorStats } from "../observe/stats-registry.ts";
import type { RandomFraction } from "../upstream/clock.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Service, ServiceVersion } from "./service.ts";

/** Marks a mirrored request and names its version, so that an upstream can skip side effects. */
export const mirrorHeader = "x-perch-mirror";

/** The facts by which a request is mirrored or not. */
export interface MirrorQuestion {
  readonly method: string;
  /** Undefined if an override or a propagated version decided. */
  readonly unit: Unit | undefined;
  /** The version that serves it. */
  readonly served: string;
  /** Whether a trusted caller sent it as a mirrored request. */
  readonly isCopy: boolean;
}

export type MirrorVerdict = "copied" | "not-drawn" | "no-unit" | "other-method" | "serves-itself" | "is-a-copy";

/** A release's mirror on one route. Built once per snapshot. */
export class Mirroring {
  readonly spec: MirrorSpec;
  readonly service: Service;
  readonly version: ServiceVersion;
  readonly stats: MirrorStats;
  readonly #methods: ReadonlySet<string>;
  readonly #seed: number;

  constructor(spec: MirrorSpec, salt: string, service: Service, version: ServiceVersion, stats: MirrorStats) {
    this.spec = spec;
    this.service = service;
    this.version = version;
    this.stats = stats;
    this.#methods = new Set(spec.methods);
    this.#seed = mirrorSeed(spec.release, salt);
  }

  takes(method: string): boolean {
    return this.#methods.has(method);
  }

  verdict({ method, unit, served, isCopy }: MirrorQuestion): MirrorVerdict {
    if (!this.takes(method)) return "other-method";
    // Mirroring to the version that serves would only double its load.
    if (served === this.version.name) return "serves-itself";
    // An override is for one version only. A propagated request was mirrored where its chain began.
    if (unit === undefined) return "no-unit";
    if (this.draw(unit) >= this.spec.percent) return "not-drawn";
    return isCopy ? "is-a-copy" : "copied";
  }

  /** A unit's draw in [0, 100); mirrored below the percentage. */
  draw(unit: Unit): number {
    return percentile(unit, this.#seed);
  }
}

/** The request to mirror, as it was sent to its own endpoint. */
export interface MirroredRequest {
  readonly mirroring: Mirroring;
  readonly method: string;
  readonly target: string;
  /** Flat, without framing fields. Called at most once, during `Mirrors.begin`. */
  headersFor(endpoint: Endpoint): readonly string[];
  /** The framing of the body: its length, or as named. */
  readonly body: number | "chunked" | "none";
}

/**
 * A mirrored request in flight. The lane only feeds it the body as it reads it: nothing waits for it, and its failures
 * are not reported to the lane.
 */
export interface Mirror {
  /** Bytes of the body; must not be modified afterwards. */
  bytes(bytes: Buffer): void;
  bodyEnded(): void;
  /** The request is over. A mirrored request with an incomplete body is aborted, so that it cannot look complete. */
  requestEnded(): void;
}

/** The clocks and randomness of a mirrored request. */
export interface MirrorSources {
  nowMs(): number;
  monotonicMs(): number;
  readonly randomFraction: RandomFraction;
}

/** Sends mirrored requests: one transport for both lanes. */
export interface Mirrors {
  /** Undefined if the mirrored request cannot be sent, which is counted. */
  begin(request: MirroredRequest, sources: MirrorSources): Mirror | undefined;
}
