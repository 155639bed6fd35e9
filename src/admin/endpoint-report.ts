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

/** One Kubernetes Service in `/api/endpoints` whose Pods are endpoints. */
export interface KubernetesServiceReport {
  readonly namespace: string;
  readonly service: string;
  /** As in the configuration; null: its only port. */
  readonly port: string | null;
  readonly ready: number;
  /** Those that still serve, and get requests while none is ready. */
  readonly terminating: number;
  readonly notReady: number;
  /** How many get new requests: fewer than are ready where hints for zones or a second address family leave some out. */
  readonly used: number;
  /** When the Kubernetes API last said something of it. */
  readonly answeredAt: string | null;
  /** Why the API says nothing now, so that what is known stays in use. */
  readonly trouble: string | null;
  /** What is wrong with the Service, or with what the configuration says of it. */
  readonly problems: readonly string[];
}

/** What is known of a port of a Kubernetes Service. */
export interface KubernetesServiceView
  extends Pick<KubernetesServiceReport, "namespace" | "service" | "used" | "problems"> {
  readonly port: string | number | undefined;
  readonly counts: Pick<KubernetesServiceReport, "ready" | "terminating" | "notReady">;
  readonly answeredAtMs: number | undefined;
  readonly trouble: string | undefined;
}

export function reportKubernetesService({
  port,
  counts,
  answeredAtMs,
  trouble,
  ...same
}: KubernetesServiceView): KubernetesServiceReport {
  return {
    ...same,
    ...counts,
    port: port === undefined ? null : String(port),
    answeredAt: answeredAtMs === undefined ? null : new Date(answeredAtMs).toISOString(),
    trouble: trouble ?? null,
  };
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
