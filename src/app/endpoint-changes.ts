import type { ActivityLog } from "../observe/live/activity-log.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Condition } from "../upstream/endpoint-health.ts";
import { endpointEntry } from "./live-entries.ts";

/** Of one second: when a network fails, thousands of endpoints change at once, and would crowd out everything else. */
const maxEntries = 20;

/** Tells the activity log which endpoints went down or came back between two looks. */
export class EndpointChanges {
  readonly #activity: ActivityLog;
  /** Those that are not up; most of many are. */
  #down: ReadonlyMap<Endpoint, Condition["state"]> = new Map();

  constructor(activity: ActivityLog) {
    this.#activity = activity;
  }

  look(endpoints: Iterable<Endpoint>): void {
    const down = new Map<Endpoint, Condition["state"]>();
    let changes = 0;
    for (const endpoint of endpoints) {
      const { state } = endpoint.health.condition;
      if (state !== "up") down.set(endpoint, state);
      if (state === (this.#down.get(endpoint) ?? "up")) continue;
      if (++changes <= maxEntries) this.#activity.add(endpointEntry(endpoint));
    }
    this.#down = down;
    const more = changes - maxEntries;
    if (more <= 0) return;
    this.#activity.add({ kind: "endpoint", type: "more", level: "warn", text: `${more} more endpoints changed` });
  }
}
