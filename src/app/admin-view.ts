import { type AdminView, type ExplainQuery, reportRelease } from "../admin/api.ts";
import { reportEndpoints, reportKubernetesService } from "../admin/endpoint-report.ts";
import type { LiveView } from "../admin/live/live-view.ts";
import { formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import type { RandomSource } from "../decide/unit.ts";
import { Metrics } from "../observe/metrics.ts";
import { releaseGroup } from "../observe/release-stats.ts";
import type { StatsRegistry } from "../observe/stats-registry.ts";
import { weightRatios, withWeightsInForce } from "../observe/weight-ratio.ts";
import { packageVersion } from "../package-version.ts";
import { type Explanation, explainRequest } from "../proxy/explain/explain.ts";
import type { RolloutStatus } from "../rollout/rollouts-api.ts";
import { certificateExpiries } from "./certificate-expiries.ts";
import type { DataPlane } from "./data-plane.ts";
import type { SliceSource } from "./kubernetes/slice-source.ts";
import type { ActiveSources, ConfigStatus } from "./reloader.ts";
import type { RunningRollouts } from "./rollouts.ts";

export interface AdminSources {
  readonly stats: StatsRegistry;
  readonly dataPlane: DataPlane;
  readonly reloader: { readonly status: ConfigStatus; readonly active: ActiveSources };
  readonly lifecycle: { readonly draining: boolean };
  readonly nowMs: () => number;
  readonly random: RandomSource;
  /** False if the configuration came from flags. */
  readonly fromFile: boolean;
  readonly live: LiveView;
  readonly rollouts: Pick<RunningRollouts, "controller" | "notifications" | "replicas">;
  readonly planner: AdminView["planner"];
  readonly slices: Pick<SliceSource, "reports">;
}

/** The data of the admin API for this process. */
export function adminView(sources: AdminSources): AdminView {
  const { stats, dataPlane, reloader, rollouts: running, lifecycle, nowMs, random } = sources;
  const { active, endpoints } = dataPlane;
  const rollouts = running.controller;
  const inForce = () => Array.from(active.current.releases.values(), ({ policy }) => withWeightsInForce(policy));
  /** A dozen metrics ask, and a status is work. */
  let atScrape: readonly RolloutStatus[] = [];
  const metrics = new Metrics({
    stats,
    *endpointStates() {
      for (const { service, version, origin, up } of endpoints.all()) yield { service, version, endpoint: origin, up };
    },
    kubernetesServices: () => sources.slices.reports(),
    certificates: () => certificateExpiries(active.current.config.listeners),
    weightRatios: () => weightRatios(inForce()),
    rollouts: {
      all: () => atScrape,
      rollbacks: () => rollouts.rollbacks(),
      *configured() {
        for (const { name: release, rollout } of inForce())
          if (rollout !== undefined) yield { release, runs: rollouts.of(release) !== undefined };
      },
      replica() {
        const status = running.replicas?.status();
        return status && { leads: status.isLeading, droppedReports: status.droppedReports };
      },
      notifications: () => running.notifications,
    },
    workers: () => dataPlane.workers,
    build: { version: packageVersion, nodeVersion: process.versions.node },
  });
  return {
    rollouts,
    replicas: running.replicas,
    planner: sources.planner,
    live: sources.live,
    async metrics(format) {
      await dataPlane.refresh();
      atScrape = rollouts.all();
      return metrics.render(format);
    },
    readiness() {
      if (lifecycle.draining) return "draining";
      return dataPlane.acceptance;
    },
    config() {
      const { file, hash, loadedAtMs, warnings, lastError, restartNeeded } = reloader.status;
      const { resourceVersion } = reloader.active.sources;
      return {
        active: { file: sources.fromFile ? file : undefined, hash, resourceVersion, loadedAtMs, warnings },
        lastError: lastError && { ...lastError, text: lastError.problems.map(formatDiagnostic).join("\n") },
        restartNeeded,
      };
    },
    async releases() {
      await dataPlane.refresh();
      const counted = stats.all(releaseGroup);
      return inForce().flatMap((spec) => {
        const found = counted.get(spec.name);
        return found === undefined ? [] : [reportRelease(spec, found, nowMs())];
      });
    },
    async endpoints() {
      await dataPlane.refresh();
      return reportEndpoints(endpoints.all(), active.current.config.services, nowMs());
    },
    kubernetesServices: () => sources.slices.reports().map(reportKubernetesService),
    async explain(query) {
      await dataPlane.refresh();
      const explanation = explainRequest(active.current, described(query), { nowMs: nowMs(), random });
      const problem = explanation.error?.code === "bad-request" ? explanation.trail[0] : undefined;
      if (problem !== undefined) return { kind: "refused", message: problem.detail };
      return { kind: "explained", explanation: withoutSignatures(explanation) };
    },
  };
}

function described({ url, method, headers, cookies, client }: ExplainQuery) {
  const lines = new Map<string, string[]>(cookies === undefined ? [] : [["cookie", [cookies]]]);
  for (const [name, value] of headers) lines.set(name, [...(lines.get(name) ?? []), value]);
  return { url, method, headers: Object.fromEntries(lines), ...(client === undefined ? {} : { client }) };
}

/**
 * A caller of the admin API must not obtain a valid pin or token; `perch explain`, run with the secrets, shows them.
 */
function withoutSignatures({ pin, redirect, ...rest }: Explanation): Readonly<Record<string, unknown>> {
  return {
    ...rest,
    pin: pin && { ...pin, wouldSet: unsigned(pin.wouldSet) },
    redirect: redirect && { ...redirect, setCookie: unsigned(redirect.setCookie) },
  };
}

/** Replaces the last part of the value, which is the signature. */
function unsigned(setCookie: string | null): string | null {
  return setCookie === null ? null : setCookie.replace(/^([^=;]*=[^;]*\.)[^.;]*/, "$1<signature>");
}
