import type { Belief } from "../upstream/endpoint-health.ts";
import type { HealthSpec, ServiceSpec } from "../upstream/service-spec.ts";

/** One endpoint, as `/api/endpoints` shows it. Times are ISO 8601; null where there is nothing to say. */
export interface EndpointReport {
  readonly service: string;
  readonly version: string;
  readonly endpoint: string;
  /** up, or why it gets no requests: `failing` its checks, `ejected` for its answers, `refused` connections. */
  readonly state: Belief["state"];
  readonly why: string | null;
  readonly since: string | null;
  /** From when on a request may try it; null while it is up, and while only a check can tell. */
  readonly triedAgainAt: string | null;
  readonly checked: { readonly by: HealthSpec["probe"]["kind"]; readonly everyMs: number } | null;
}

/** What is believed of one endpoint. */
export interface EndpointView {
  readonly service: string;
  readonly version: string;
  readonly origin: string;
  readonly health: { readonly belief: Belief };
}

export function reportEndpoints(
  endpoints: Iterable<EndpointView>,
  services: readonly Pick<ServiceSpec, "name" | "health">[],
): readonly EndpointReport[] {
  const checks = new Map(services.map(({ name, health }) => [name, health]));
  return Array.from(endpoints, ({ service, version, origin, health: { belief } }) => {
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
    };
  });
}
