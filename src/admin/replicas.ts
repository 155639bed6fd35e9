import type { FastifyInstance } from "fastify";
import type { HandedOver, ReplicaMessage } from "../rollout/replicas/replica-messages.ts";
import { verbs } from "../rollout/rollouts-api.ts";
import { replicaChangesPath, replicaReportsPath } from "./access.ts";
import { sendProblem } from "./problem.ts";
import type { Replicas } from "./replicas-view.ts";
import { line } from "./rollouts.ts";
import { count, listOf, mapOf, oneOf, record, share, text } from "./schemas/json-schema.ts";
import { refTo } from "./schemas.ts";

/** A replica sends less than 1 MB at once: see `ReportOutbox`. */
const maxReportsBytes = 4 * 1024 * 1024;

/** The saved state has safe integers only, and their sums must be some too. */
const serial = { ...count, maximum: 2 ** 52 };
/** Answers since the last report, which is a second ago; far more than a replica can have. */
const recent = { ...count, maximum: 1e9 };
/** Answers since the rollout began: a million a second for eleven days. */
const total = { ...count, maximum: 1e12 };
const word = { type: "integer", minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
const bits = { ...count, maximum: 2 ** 31 - 1 };
const answers = record({ good: recent, failed: recent });
const bySide = record({ baseline: answers, candidate: answers });
const sighting = record({
  hi: word,
  lo: word,
  side: oneOf("baseline", "candidate"),
  odds: share,
  seen: oneOf("first", "returned", "known"),
  bad: bits,
  goodBefore: total,
});
const report = record({
  release: text,
  id: text,
  sightings: listOf(sighting),
  drawn: bySide,
  placed: bySide,
  baselineDurations: listOf(recent),
});
const message = record({
  replica: { type: "string", minLength: 1, maxLength: 300 },
  term: { type: "string", maxLength: 500 },
  revision: serial,
  withdrawn: listOf(record({ release: text, id: text, why: { type: "string", maxLength: 2_000, pattern: line } })),
  reports: listOf(record({ number: serial, report })),
});

/** The default reason names who asked. */
const maxWhy = 800;
const change = {
  type: "object",
  additionalProperties: false,
  required: ["why", "by"],
  properties: {
    // As the replica that was asked has them: with the name of the token.
    why: { type: "string", maxLength: maxWhy, pattern: line },
    by: { type: "string", minLength: 1, maxLength: 200, pattern: line },
    ifRevision: serial,
  },
};
const ofKind = (kind: string, ...needed: readonly string[]) => {
  return { properties: { kind: { const: kind } }, required: needed };
};
const asked = {
  type: "object",
  additionalProperties: false,
  required: ["kind", "release", "change"],
  properties: {
    kind: text,
    release: text,
    verb: oneOf(...verbs),
    split: { ...mapOf({ type: "number", minimum: 0, maximum: 1e9 }), maxProperties: 100 },
    forMs: { type: "number", exclusiveMinimum: 0 },
    change,
  },
  anyOf: [ofKind("change", "verb"), ofKind("set-split", "split"), ofKind("end-split")],
};

/** What replicas ask one another, and who leads. */
export function addReplicas(server: FastifyInstance, replicas: Replicas | undefined): void {
  const status = {
    summary: "Which replica leads the rollouts",
    answer: { schema: refTo("Replicas") },
    problems: [404],
  };
  server.get("/api/replicas", { schema: status }, (_, reply) =>
    replicas === undefined
      ? sendProblem(reply, 404, "not-shared", "The configuration has no `state.kubernetes`: this replica is alone.")
      : reply.send(replicas.status()),
  );
  if (replicas === undefined) return;
  const ofReports = { bodyLimit: maxReportsBytes, schema: { isInternal: true, body: message } } as const;
  server.post<{ Body: ReplicaMessage }>(replicaReportsPath, ofReports, (request, reply) => {
    const answer = replicas.heard(request.body);
    return answer === undefined ? sendProblem(reply, 409, "not-leading", notLeading) : reply.send(answer);
  });
  const ofChanges = { schema: { isInternal: true, body: asked } } as const;
  server.post<{ Body: HandedOver }>(replicaChangesPath, ofChanges, async (request, reply) => {
    const { release, change: asking, ...rest } = request.body;
    request.audited = { what: "verb" in rest ? rest.verb : rest.kind, release, ...asking };
    const answer = await replicas.make(request.body);
    request.changedAnything = answer?.kind === "done" && !("changed" in answer && !answer.changed);
    if (answer?.kind === "refused") reply.problemCode = answer.cause;
    return answer === undefined ? sendProblem(reply, 409, "not-leading", notLeading) : reply.send(answer);
  });
}

const notLeading = "This replica does not lead: another has taken over.";
