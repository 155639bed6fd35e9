import type { Diagnostic } from "../config/schema-kit/diagnostics.ts";
import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { RolloutSpec } from "../decide/rollout-spec.ts";
import type { Exposition, MetricsFormat } from "../observe/prometheus.ts";
import type { ReleaseStats } from "../observe/stats-registry.ts";
import { weightRatios } from "../observe/weight-ratio.ts";
import type { Rollouts } from "../rollout/rollouts-api.ts";
import type { EndpointReport, KubernetesServiceReport } from "./endpoint-report.ts";
import type { LiveView } from "./live/live-view.ts";
import type { Planner } from "./plan-bodies.ts";
import type { Replicas } from "./replicas-view.ts";

/** `starting` and `no-socket-worker`: a listener does not accept connections yet, or not any more. */
export type Readiness = "ready" | "starting" | "no-worker" | "no-socket-worker" | "draining";

export interface ActiveConfig {
  /** Undefined if the configuration was made from flags. */
  readonly file: string | undefined;
  readonly hash: string;
  /** Of the object of Kubernetes that it was read from; undefined otherwise, and for a cached one. */
  readonly resourceVersion?: string | undefined;
  readonly loadedAtMs: number;
  readonly warnings: readonly Diagnostic[];
}

export interface ConfigError {
  readonly atMs: number;
  /** All problems as printed by `perch validate`: file:line:column, excerpt, caret. */
  readonly text: string;
  readonly problems: readonly Diagnostic[];
}

export interface ConfigView {
  readonly active: ActiveConfig;
  /** Why the last reload was rejected; undefined once a reload has succeeded. */
  readonly lastError: ConfigError | undefined;
  /** Changed settings that take effect only after a restart, such as `listeners`. */
  readonly restartNeeded: readonly string[];
}

/** A validated request to explain. */
export interface ExplainQuery {
  /** Absolute, http or https. Not normalised, so that the path is judged as a client would send it. */
  readonly url: string;
  readonly method: string;
  /** Names in lower case, without Cookie. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** All cookies as one header value. */
  readonly cookies: string | undefined;
  /** The client's IP address; undefined: not specified. */
  readonly client: string | undefined;
}

export type ExplainAnswer =
  /** What `perch explain --json` prints. */
  | { readonly kind: "explained"; readonly explanation: Readonly<Record<string, unknown>> }
  /** Perch would reject such a request; the message says why. */
  | { readonly kind: "refused"; readonly message: string };

/** The data that the admin server shows, supplied by the application. Reading counts nothing. */
export interface AdminView {
  metrics(format: MetricsFormat): Promise<Exposition>;
  readiness(): Readiness;
  config(): ConfigView;
  releases(): Promise<readonly ReleaseReport[]>;
  endpoints(): Promise<readonly EndpointReport[]>;
  /** Those whose Pods are endpoints. */
  kubernetesServices(): readonly KubernetesServiceReport[];
  explain(query: ExplainQuery): Promise<ExplainAnswer>;
  /** Undefined where the state is not shared. */
  readonly replicas?: Replicas | undefined;
  /** Undefined where nothing controls rollouts. */
  readonly rollouts: Rollouts | undefined;
  /** What the dashboard follows. */
  readonly live: LiveView;
  readonly planner: Planner;
}

const minuteMs = 60_000;

/** Decisions of the last minutes, with a resolution of ten seconds. */
export interface Observed {
  /** Drawn by the split or a rollout. */
  readonly decisions: number;
  /** By anything else: held pins, rules, overrides, callers. These follow no weight. */
  readonly placed: number;
  /** Of the release's drawn decisions, 0 to 1. Null without decisions, since that is not a share of zero. */
  readonly share: number | null;
  /**
   * What `share` is to be compared with: the mean of the weights that these draws had. Rings, rules with `use: rollout`
   * and earlier steps have weights of their own. Null without decisions.
   */
  readonly expectedShare: number | null;
}

export interface VersionReport {
  readonly version: string;
  /** By the weights in force, 0 to 1; null if the release has none. */
  readonly configuredShare: number | null;
  readonly lastMinute: Observed;
  readonly lastFiveMinutes: Observed;
}

/** One release in `/api/releases`. Counts are of assigned versions, since this process started. */
export interface ReleaseReport {
  readonly release: string;
  readonly versions: readonly VersionReport[];
  readonly rules: readonly { readonly rule: string; readonly hits: number }[];
  readonly pinFlips: number;
  readonly pinsRejected: Readonly<Record<string, number>>;
}

/** What a report needs of a release; the split is the one in force, as `withWeightsInForce` has it. */
export interface ReportedRelease extends Pick<ReleaseSpec, "name" | "versions" | "split"> {
  readonly rollout?: Pick<RolloutSpec, "baseline" | "candidate"> | undefined;
}

/** `nowMs` must be of the same clock as the recorded decisions. */
export function reportRelease(spec: ReportedRelease, stats: ReleaseStats, nowMs: number): ReleaseReport {
  const configured = new Map(Array.from(weightRatios([spec]), ({ version, ratio }) => [version, ratio]));
  const lastMinute = observed(spec, configured, stats, minuteMs, nowMs);
  const lastFiveMinutes = observed(spec, configured, stats, 5 * minuteMs, nowMs);
  const nothing: Observed = { decisions: 0, placed: 0, share: null, expectedShare: null };
  return {
    release: spec.name,
    versions: spec.versions.map((version) => ({
      version,
      configuredShare: configured.get(version) ?? null,
      lastMinute: lastMinute.get(version) ?? nothing,
      lastFiveMinutes: lastFiveMinutes.get(version) ?? nothing,
    })),
    rules: Array.from(stats.ruleHits, ([rule, hits]) => ({ rule, hits: hits.value })),
    pinFlips: stats.pinFlips.value,
    pinsRejected: Object.fromEntries(
      Object.entries(stats.pinsRejected.by).map(([cause, counter]) => [cause, counter.value]),
    ),
  };
}

function observed(
  { rollout }: ReportedRelease,
  configured: ReadonlyMap<string, number>,
  stats: ReleaseStats,
  spanMs: number,
  nowMs: number,
): ReadonlyMap<string, Observed> {
  const drawn = new Map(Array.from(stats.versions, ([name, counters]) => [name, counters.drawn.total(spanMs, nowMs)]));
  const of = (version: string | undefined) => (version === undefined ? 0 : (drawn.get(version) ?? 0));
  const sum = [...drawn.values()].reduce((total, count) => total + count, 0);
  const candidates = Array.from(stats.versions, ([, counters]) => counters).reduce(
    (total, { odds }) => total + odds.total(spanMs, nowMs),
    0,
  );
  const expected = (version: string): number | undefined => {
    if (candidates === 0) return configured.get(version);
    if (version === rollout?.candidate) return candidates / sum;
    // The rollout draws again whom the split gave the baseline, so that the two share what both got.
    if (version === rollout?.baseline) return (of(version) + of(rollout.candidate) - candidates) / sum;
    return configured.get(version);
  };
  return new Map(
    Array.from(stats.versions, ([version, { placed }]) => [
      version,
      {
        decisions: of(version),
        placed: placed.total(spanMs, nowMs),
        share: sum === 0 ? null : of(version) / sum,
        expectedShare: sum === 0 ? null : (expected(version) ?? null),
      },
    ]),
  );
}

/** The body of `/api/config`. Absent values are null, never omitted. */
export function configBody({ active, lastError, restartNeeded }: ConfigView) {
  return {
    active: {
      file: active.file ?? null,
      hash: active.hash,
      resourceVersion: active.resourceVersion ?? null,
      loadedAt: new Date(active.loadedAtMs).toISOString(),
      warnings: active.warnings.map(problemBody),
    },
    lastError:
      lastError === undefined
        ? null
        : {
            at: new Date(lastError.atMs).toISOString(),
            text: lastError.text,
            problems: lastError.problems.map(problemBody),
          },
    restartNeeded,
  };
}

export type ConfigBody = ReturnType<typeof configBody>;

function problemBody({ code, severity, message, file, line, column, suggestion }: Diagnostic) {
  return {
    code,
    severity,
    position: `${file}:${line}:${column}`,
    file,
    line,
    column,
    message,
    suggestion: suggestion ?? null,
  };
}
