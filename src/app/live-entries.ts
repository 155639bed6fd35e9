import type { AuditEntry } from "../admin/audit.ts";
import { type Diagnostic, formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import type { LogDraft } from "../observe/live/activity-log.ts";
import { packageVersion } from "../package-version.ts";
import { eventLevels } from "../rollout/event-journal.ts";
import type { RolloutEvent } from "../rollout/rollout-state.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { ConfigStatus } from "./reloader.ts";

/** More problems than these are found one after the other anyway. */
const maxProblems = 20;

export function rolloutEntry({ atMs, release, type, phase, step, weight, by, why, evidence }: RolloutEvent): LogDraft {
  const checks = evidence.map(({ name, verdict, why: told }) => `${name}: ${verdict}; ${told}`);
  return {
    kind: "rollout",
    type,
    level: eventLevels[type] ?? "info",
    text: why,
    detail: checks.length === 0 ? null : checks.join("\n"),
    ...{ atMs, release, phase, step, weight, by },
  };
}

export function startEntry(hash: string): LogDraft {
  const text = `Perch ${packageVersion} started with configuration ${short(hash)}`;
  return { kind: "config", type: "started", level: "info", by: "perch", text };
}

/** Of a load that ended: what is active now, and what was before. */
export function reloadEntry(now: ConfigStatus, before: ConfigStatus): LogDraft {
  const common = { kind: "config", by: "configuration" } as const;
  if (now.lastError !== undefined) {
    const text = "configuration reload rejected; the previous configuration stays active";
    return { ...common, type: "rejected", level: "error", text, detail: problemsText(now.lastError.problems) };
  }
  const { hash, restartNeeded, warnings } = now;
  const change =
    hash === before.hash ? `the hash is ${short(hash)} as before` : `${short(before.hash)} → ${short(hash)}`;
  const restart = `; restart Perch to apply changes to ${restartNeeded.join(", ")}`;
  return {
    ...common,
    type: "reloaded",
    level: restartNeeded.length + warnings.length > 0 ? "warn" : "info",
    text: `configuration reloaded: ${change}${restartNeeded.length > 0 ? restart : ""}`,
    detail: warnings.length === 0 ? null : problemsText(warnings),
  };
}

export function auditEntry({ who, what, release, why, status, outcome }: AuditEntry): LogDraft {
  const of = release === null ? "" : ` of ${release}`;
  return {
    kind: "audit",
    type: what,
    level: status < 400 ? "info" : "warn",
    release,
    by: who,
    text: `${what}${of}: ${outcome}`,
    detail: why === "" ? null : why,
  };
}

export function endpointEntry({ service, version, origin, health }: Endpoint): LogDraft {
  const { state, why, sinceMs } = health.condition;
  const isUp = state === "up";
  return {
    // Not when it was noticed: other threads report seconds later, and causes would be listed after their effects.
    ...(sinceMs !== undefined && { atMs: sinceMs }),
    kind: "endpoint",
    type: state,
    level: isUp ? "info" : "warn",
    text: `endpoint ${origin} of ${service}/${version} is ${isUp ? "up again" : state}${why === "" ? "" : `: ${why}`}`,
  };
}

function problemsText(problems: readonly Diagnostic[]): string {
  const texts = problems.slice(0, maxProblems).map(formatDiagnostic);
  const more = problems.length - texts.length;
  return [...texts, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
}

function short(hash: string): string {
  return hash.slice(0, 12);
}
