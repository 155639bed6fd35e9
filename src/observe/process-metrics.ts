import { collectDefaultMetrics, type Registry } from "prom-client";

/**
 * Gauges of prom-client whose names end in `_total`, which Prometheus keeps for counters: `promtool check metrics`
 * fails on them. Their per-type counterparts stay.
 */
const misnamed = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

/** CPU, memory, event loop and garbage collection of this process, as prom-client's users know them. */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of misnamed) registry.removeSingleMetric(name);
}
