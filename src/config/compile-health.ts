import type { HealthSpec, ProbeSpec } from "../upstream/service-spec.ts";
import type { HealthConfig } from "./health-schema.ts";

const usualTimeoutMs = 2_000;

export function compileHealth(config: HealthConfig, way: Pick<HealthSpec, "protocol" | "tls">): HealthSpec {
  const { interval, timeout, healthyAfter, unhealthyAfter } = config;
  return {
    probe: compileProbe(config),
    ...way,
    intervalMs: interval,
    timeoutMs: timeout ?? Math.min(usualTimeoutMs, interval),
    healthyAfter,
    unhealthyAfter,
  };
}

function compileProbe({ path, grpc, statuses, headers }: HealthConfig): ProbeSpec {
  if (path !== undefined) return { kind: "http", path, headers, statuses };
  return grpc === undefined ? { kind: "tcp" } : { kind: "grpc", service: grpc };
}
