import type { EndpointAddress } from "../upstream/endpoint-address.ts";
import type { HealthSpec } from "../upstream/service-spec.ts";

/** What one check found, and why in a few words, without an address. */
export interface ProbeResult {
  readonly passed: boolean;
  readonly why: string;
}

/** Asks an endpoint once. Ends soon after `signal` does; what it throws counts as failed. */
export type Probe = (address: EndpointAddress, spec: HealthSpec, signal: AbortSignal) => Promise<ProbeResult>;

/** An error in a few words: its code where it has one. */
export function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return "failed";
  const { code, cause, name } = error as Error & { code?: unknown };
  if (typeof code === "string") return code;
  return cause === undefined ? name : whyOf(cause);
}
