import type { Endpoint } from "./endpoint.ts";
import type { OutlierSpec } from "./service-spec.ts";

/** Whether an answer with this status counts against the endpoint that gave it. */
export function isBadStatus(status: number, { failures }: OutlierSpec): boolean {
  return failures === "5xx" ? status >= 500 : status >= 502 && status <= 504;
}

/**
 * Notes that an endpoint failed a request, and ejects it where that was one too many. Of the version's endpoints only a
 * share may be out at a time; but where another version can serve in its place, one always may.
 */
export function noteFailure(
  endpoint: Endpoint,
  version: { readonly endpoints: readonly Endpoint[]; readonly replaceable: boolean },
  spec: OutlierSpec,
  nowMs: number,
  why: string,
): void {
  if (!endpoint.health.failed(nowMs, spec)) return;
  const { endpoints, replaceable } = version;
  const others = endpoints.filter(({ health }) => health.isEjected && health !== endpoint.health).length;
  const most = Math.max(Math.floor(endpoints.length * spec.maxEjectedShare), replaceable ? 1 : 0);
  if (others < most) endpoint.health.eject(nowMs, spec, why);
}
