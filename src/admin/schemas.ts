import type { RolloutEvent } from "../rollout/rollout-state.ts";
import { phases } from "../rollout/rollout-state.ts";
import {
  count,
  flag,
  type JsonSchema,
  listOf,
  number,
  oneOf,
  orNull,
  record,
  ref,
  share,
  text,
  time,
  weights,
} from "./schemas/json-schema.ts";
import { liveSchemas } from "./schemas/live-schemas.ts";

export function refTo(name: keyof typeof schemas): JsonSchema {
  return ref(name);
}

const bySide = (each: JsonSchema): JsonSchema => record({ baseline: each, candidate: each });
const answers = bySide(record({ good: count, failed: count }));
const users = record({ users: count, bad: count });

const eventTypes = [
  "started",
  "step",
  "holding",
  "paused",
  "resumed",
  "rolled-back",
  "completed",
  "aborted",
  "check",
  "plan-edited",
  "split",
] as const satisfies readonly RolloutEvent["type"][];

/** Of what a rollout is and does. */
const rolloutSchemas = {
  Check: record({
    name: text,
    metric: oneOf("errors", "slow", "prometheus", "webhook", "drift", "cap", "catastrophe"),
    verdict: oneOf("pass", "fail", "not-enough-data"),
    at: orNull(time),
    baseline: orNull(users),
    candidate: orNull(users),
    evidence: orNull(number),
    limit: orNull(number),
    interval: orNull({ type: "array", items: number, minItems: 2, maxItems: 2 }),
    why: text,
  }),
  Step: record({
    title: text,
    state: oneOf("done", "current", "next"),
    weight: orNull(number),
    holdMs: count,
    heldMs: count,
    atLeastUsers: count,
  }),
  Rollout: record({
    release: text,
    id: text,
    baseline: text,
    candidate: text,
    phase: { enum: phases },
    why: text,
    since: time,
    revision: count,
    sentence: text,
    step: count,
    steps: listOf(ref("Step")),
    weight: number,
    checks: listOf(ref("Check")),
    users: bySide(users),
    stepUsers: bySide(count),
    placed: answers,
    drawn: answers,
    startedAt: orNull(time),
    stateProblem: orNull(text),
  }),
  Split: record({ release: text, split: weights, until: orNull(time), by: text, why: text }),
  Event: record({
    id: count,
    at: time,
    release: text,
    rollout: orNull(text),
    type: { enum: eventTypes },
    phase: orNull({ enum: phases }),
    step: orNull(count),
    weight: orNull(number),
    by: text,
    why: text,
    evidence: listOf(ref("Check")),
  }),
  Rollouts: record({ revision: count, rollouts: listOf(ref("Rollout")), splits: listOf(ref("Split")) }),
  Replicas: record({
    identity: text,
    isLeading: flag,
    leader: orNull(record({ identity: text, address: orNull(text) })),
    revision: count,
    problem: orNull(text),
    droppedReports: count,
  }),
  ChangedRollout: record({ changed: flag, rollout: ref("Rollout") }),
  EndedSplit: record({ changed: flag, revision: count, ended: ref("Split") }),
  ChangedSplit: record({ changed: flag, revision: count, split: ref("Split") }),
};

const configProblem = record({
  code: text,
  severity: oneOf("error", "warning"),
  position: text,
  file: text,
  line: count,
  column: count,
  message: text,
  suggestion: orNull(text),
});

const observed = record({
  decisions: count,
  placed: count,
  share: orNull(share),
  expectedShare: orNull(share),
});

/** The schemas of all answers, by name. A test holds every answer against its schema. */
export const schemas = {
  ...rolloutSchemas,
  ...liveSchemas,
  Problem: {
    type: "object",
    description: "RFC 9457. error is for programs, detail and problems are for people.",
    additionalProperties: false,
    required: ["type", "title", "status", "detail", "error"],
    properties: { type: text, title: text, status: count, detail: text, error: text, problems: listOf(text) },
  },
  Config: record({
    active: record({
      file: orNull(text),
      hash: text,
      resourceVersion: orNull(text),
      loadedAt: time,
      warnings: listOf(configProblem),
    }),
    lastError: orNull(record({ at: time, text, problems: listOf(configProblem) })),
    restartNeeded: listOf(text),
  }),
  Releases: record({
    releases: listOf(
      record({
        release: text,
        versions: listOf(
          record({ version: text, configuredShare: orNull(share), lastMinute: observed, lastFiveMinutes: observed }),
        ),
        rules: listOf(record({ rule: text, hits: count })),
        pinFlips: count,
        pinsRejected: { type: "object", additionalProperties: count },
      }),
    ),
  }),
  Endpoint: record({
    service: text,
    version: text,
    endpoint: text,
    state: oneOf("up", "failing", "ejected", "refused"),
    why: orNull(text),
    since: orNull(time),
    triedAgainAt: orNull(time),
    checked: orNull(record({ by: text, everyMs: count })),
    singleUseUntil: orNull(time),
  }),
  KubernetesService: record({
    namespace: text,
    service: text,
    port: orNull(text),
    ready: count,
    terminating: count,
    notReady: count,
    used: count,
    answeredAt: orNull(time),
    trouble: orNull(text),
    problems: listOf(text),
  }),
  Endpoints: record({ endpoints: listOf(ref("Endpoint")), kubernetesServices: listOf(ref("KubernetesService")) }),
  /** `plan` is what `perch plan --json` prints. */
  Plan: {
    oneOf: [
      record({ valid: { const: false }, problems: listOf(text) }),
      record({ valid: { const: true }, warnings: listOf(text), plan: { type: "object" } }),
    ],
  },
  SplitPreview: record({
    moved: share,
    moves: listOf(record({ from: text, to: text, share })),
    after: { type: "object", additionalProperties: share },
  }),
  /** What `perch explain --json` prints. */
  Explanation: { type: "object" },
  OpenApi: { type: "object", required: ["openapi", "info", "paths"] },
} satisfies Readonly<Record<string, JsonSchema>>;
