import type { MirrorSpec } from "../config/compiled-config.ts";
import { mirrorSeed, percentile } from "../decide/draw.ts";
import type { Unit } from "../decide/unit.ts";
import type { MirrorStats } from "../observe/stats-registry.ts";
import type { RandomFraction } from "../upstream/clock.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Service, ServiceVersion } from "./service.ts";

/** Says on a copy which version it is for. Whoever acts on what he is asked for can tell it from the request. */
export const mirrorHeader = "x-perch-mirror";

/** What a mirror asks of a request. */
export interface MirrorQuestion {
  readonly method: string;
  /** Undefined where nobody was looked for: an override or a caller decided. */
  readonly unit: Unit | undefined;
  /** The version that serves it. */
  readonly served: string;
  /** It came with the header of copies, from a trusted caller. */
  readonly isCopy: boolean;
}

export type MirrorVerdict = "copied" | "not-drawn" | "no-unit" | "other-method" | "serves-itself" | "is-a-copy";

/** A release's mirror as one route has it. Prepared once a snapshot. */
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
    // A copy of what it answers itself would tell nothing, and cost it twice.
    if (served === this.version.name) return "serves-itself";
    // Testers ask for one version, and where a caller decided, the chain was copied at its start.
    if (unit === undefined) return "no-unit";
    if (this.placeOf(unit) >= this.spec.percent) return "not-drawn";
    return isCopy ? "is-a-copy" : "copied";
  }

  /** A unit's place in [0, 100); those below the percentage are copied. */
  placeOf(unit: Unit): number {
    return percentile(unit, this.#seed);
  }
}

/** A request to be copied, as it went to its own endpoint. */
export interface MirroredRequest {
  readonly mirroring: Mirroring;
  readonly method: string;
  readonly target: string;
  /** Flat, without what frames the body. Asked for once, at once. */
  headersFor(endpoint: Endpoint): readonly string[];
  /** What frames the body that the lane will pass on. */
  readonly body: number | "chunked" | "none";
}

/**
 * A copy that is on its way. Nothing waits for it and nothing that happens to it is told: the lane passes on what it reads
 * of the body, and forgets it.
 */
export interface Mirror {
  /** Bytes of the body; they must stay as they are. */
  bytes(bytes: Buffer): void;
  bodyEnded(): void;
  /** The request is over. A copy whose body has not ended by now never will, and must not pass for a whole one. */
  requestEnded(): void;
}

/** The clocks and the randomness that a mirrored request needs. */
export interface MirrorSources {
  nowMs(): number;
  monotonicMs(): number;
  readonly randomFraction: RandomFraction;
}

/** Sends copies: one transport for both lanes. */
export interface Mirrors {
  /** Undefined where the copy can not leave, which is counted. */
  begin(request: MirroredRequest, sources: MirrorSources): Mirror | undefined;
}
