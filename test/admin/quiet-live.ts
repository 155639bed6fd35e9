import type { LiveView } from "../../src/admin/live/live-view.ts";

/** Of a process in which nothing happens. */
export const quietLive: LiveView = {
  instance: "0b7c9f1e-0000-4000-8000-000000000000",
  releases: () => [],
  endpoints: () => [],
  tick: () => undefined,
  ruleHits: () => ({}),
  history: () => undefined,
  onTick: () => () => {},
  logAfter: () => [],
  onLog: () => () => {},
  onDecisions: () => () => {},
};
