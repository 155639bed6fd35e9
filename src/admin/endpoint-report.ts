import type { HealthState } from "../upstream/endpoint-health.ts";
import type { HealthSpec, ServiceSpec } from "../upstream/service-spec.ts";

/** One endpoint in `/api/endpoints`. Times are ISO 8601. */
export interface EndpointReport {
  readonly service: string;
  readonly version: string;
  readonly endpoint: string;
  /** `up`, or why it gets no requests: `failing` health checks, `ejected` for its responses, `refused` connections. */
  readonly state: HealthState["state"];
  readonly why: string | null;
  readonly since: string | null;
  /** When requests may try it again. Null while it is up, and while only a health check can bring it back. */
  readonly triedAgainAt: string | null;
  readonly checked: { readonly by: HealthSpec["probe"]["kind"]; readonly everyMs: number } | null;
  /**
   * Until when each of its connections carries one request, because it sent bytes that no request asked for. Null: its
   * connections are reused.
   */
  readonly singleUseUntil: string | null;
}

/** One endpoint and its health state. */
export interface EndpointView {
  readonly service: string;
  readonly version: string;
  readonly origin: string;
  readonly health: { readonly belief: HealthState };
  readonly singleUse: { readonly untilMs: number };
}

export function reportEndpoints(
  endpoints: Iterable<EndpointView>,
  services: readonly Pick<ServiceSpec, "name" | "health">[],
  nowMs: number,
): readonly EndpointReport[] {
  const checks = new Map(services.map(({ name, health }) => [name, health]));
  return Array.from(endpoints, ({ service, version, origin, health: { belief }, singleUse }) => {
    const { state, why, sinceMs, closedUntilMs } = belief;
    const check = checks.get(service);
    const waits = closedUntilMs > 0 && closedUntilMs < Number.POSITIVE_INFINITY;
    return {
      service,
      version,
      endpoint: origin,
      state,
      why: why === "" ? null : why,
      since: sinceMs === undefined ? null : new Date(sinceMs).toISOString(),
      triedAgainAt: waits ? new Date(closedUntilMs).toISOString() : null,
      checked: check === undefined ? null : { by: check.probe.kind, everyMs: check.intervalMs },
      singleUseUntil: singleUse.untilMs > nowMs ? new Date(singleUse.untilMs).toISOString() : null,
    };
  });
}
