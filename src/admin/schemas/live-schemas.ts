import type { LogEntry } from "../../observe/live/activity-log.ts";
import {
  count,
  flag,
  listOf,
  mapOf,
  number,
  oneOf,
  orNull,
  record,
  ref,
  share,
  text,
  time,
  tuple,
  weights,
} from "./json-schema.ts";

const logKinds = ["rollout", "config", "endpoint", "audit"] as const satisfies readonly LogEntry["kind"][];
const logLevels = ["info", "warn", "error"] as const satisfies readonly LogEntry["level"][];

const durations = { type: "number", minimum: 0 };
const quantile = orNull(tuple(durations, durations, durations));
const summary = record({ spanMs: count, requests: count, failed: count, p50: quantile, p95: quantile, p99: quantile });
const series = record({ slotMs: count, newestMs: count, versions: mapOf(listOf(orNull(ref("Point")))) });
const ruleHits = mapOf(tuple(count, orNull(number)));

/** What a stream's state has whole, and its changes of it what differs. */
const parts = {
  config: ref("Config"),
  rollouts: ref("Rollouts"),
  endpoints: listOf(ref("Endpoint")),
  releases: listOf(ref("LiveRelease")),
};

/** Of what the dashboard follows. */
export const liveSchemas = {
  Access: record({ caller: orNull(text), change: oneOf("allowed", "token-needed", "no-token-configured") }),
  Point: {
    description: "requests, failed, p50, p95 and p99 in milliseconds, configured share",
    ...tuple(count, count, orNull(durations), orNull(durations), orNull(durations), orNull(share)),
  },
  History: record({ release: text, instance: text, seconds: series, tens: series }),
  Tick: record({
    atMs: number,
    releases: mapOf(
      record({
        versions: mapOf(
          record({
            point: orNull(ref("Point")),
            minute: summary,
            fiveMinutes: summary,
            share: orNull(share),
            expectedShare: orNull(share),
            decisions: count,
            placed: count,
          }),
        ),
        rules: ruleHits,
        pinFlips: count,
        pinsRejected: count,
      }),
    ),
  }),
  LiveRelease: record({
    release: text,
    unit: text,
    baseline: orNull(text),
    candidate: orNull(text),
    versions: listOf(record({ version: text, configuredShare: orNull(share) })),
    rules: listOf(record({ rule: text, when: text, use: text })),
    routes: listOf(text),
    services: listOf(text),
    configuredSplit: orNull(weights),
    isDirected: flag,
  }),
  LiveState: record({
    instance: text,
    version: text,
    now: time,
    access: ref("Access"),
    ...parts,
    ruleHits: mapOf(ruleHits),
    recent: record({ slotMs: count, newestMs: count, releases: mapOf(mapOf(listOf(tuple(count, count)))) }),
    tick: orNull(ref("Tick")),
  }),
  LiveChange: { type: "object", additionalProperties: false, minProperties: 1, properties: parts },
  LogEntry: record({
    id: count,
    at: time,
    kind: { enum: logKinds },
    type: text,
    level: { enum: logLevels },
    release: orNull(text),
    by: orNull(text),
    text,
    detail: orNull(text),
    step: orNull(count),
    weight: orNull(number),
    phase: orNull(text),
  }),
  LiveData: {
    description:
      "By the event: state, change, tick, log; log-reset has an empty object, and the entries after it are all.",
    anyOf: [ref("LiveState"), ref("LiveChange"), ref("Tick"), ref("LogEntry"), record({})],
  },
  Decisions: record({
    lines: listOf(
      record({
        atMs: number,
        route: text,
        method: text,
        release: orNull(text),
        version: orNull(text),
        assigned: orNull(text),
        reason: orNull(text),
        rule: orNull(text),
        status: count,
        error: orNull(text),
        durationMs: durations,
      }),
    ),
    skipped: count,
  }),
};
