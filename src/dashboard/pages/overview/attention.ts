import type { EndpointReport } from "../../../admin/endpoint-report.ts";
import type { LiveRelease, VersionTick } from "../../../admin/live/live-bodies.ts";
import type { RolloutBody } from "../../../admin/rollout-body.ts";

/** One release with what is known of it. */
export interface ReleaseView {
  readonly release: LiveRelease;
  readonly rollout: RolloutBody | undefined;
  /** Of its services, those of its versions. */
  readonly endpoints: readonly EndpointReport[];
  readonly failing: readonly FailingVersion[];
}

export interface FailingVersion {
  readonly version: string;
  /** Of its requests of the last minute. */
  readonly share: number;
}

/** Fewer are no alarm, whatever share they are. */
const fewestFailed = 5;
const alarmingShare = 0.05;

/** Versions with so many errors that they need attention, judged or not; the worst first. */
export function failingVersions(ticks: Readonly<Record<string, VersionTick>>): readonly FailingVersion[] {
  return Object.entries(ticks)
    .filter(([, { minute }]) => minute.failed >= fewestFailed && minute.failed >= alarmingShare * minute.requests)
    .map(([version, { minute }]) => ({ version, share: minute.failed / minute.requests }))
    .sort((left, right) => right.share - left.share);
}

/** Those that serve what the release decides. */
export function endpointsOf(
  { services, versions }: LiveRelease,
  endpoints: readonly EndpointReport[],
): readonly EndpointReport[] {
  const names = new Set(versions.map(({ version }) => version));
  return endpoints.filter(({ service, version }) => services.includes(service) && names.has(version));
}

/** Those that get nothing, of services that no release decides on. */
export function strandedEndpoints(
  releases: readonly LiveRelease[],
  endpoints: readonly EndpointReport[],
): readonly EndpointReport[] {
  const decided = new Set(releases.flatMap(({ services }) => services));
  return unhealthy(endpoints).filter(({ service }) => !decided.has(service));
}

export function failingChecks(rollout: RolloutBody | undefined): readonly string[] {
  return rollout?.checks.flatMap(({ name, verdict }) => (verdict === "fail" ? [name] : [])) ?? [];
}

export function unhealthy(endpoints: readonly EndpointReport[]): readonly EndpointReport[] {
  return endpoints.filter(({ state }) => state !== "up");
}

/** The lower, the more urgent. */
function urgency({ rollout, endpoints, failing }: ReleaseView): number {
  const phase = rollout?.phase;
  if (phase === "rolling-back" || phase === "rolled-back") return 0;
  if (failingChecks(rollout).length > 0 || failing.length > 0) return 1;
  if (unhealthy(endpoints).length > 0) return 2;
  if (phase === "paused") return 3;
  return phase === "holding" ? 4 : 5;
}

/** What needs attention comes first; among equals the file's order stays. */
export function byAttention(views: readonly ReleaseView[]): readonly ReleaseView[] {
  return views
    .map((view) => ({ view, urgency: urgency(view) }))
    .sort((left, right) => left.urgency - right.urgency)
    .map(({ view }) => view);
}
