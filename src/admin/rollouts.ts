import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { parseDuration } from "../config/schema-kit/scalars.ts";
import { type Change, type RefusedCause, type Rollouts, verbs } from "../rollout/rollouts-api.ts";
import { sendProblem } from "./problem.ts";
import { rolloutBody, splitBody } from "./rollout-body.ts";

/** A change of a rollout or a split, done or refused. */
export interface AuditEntry {
  readonly who: string;
  readonly what: string;
  readonly release: string;
  readonly why: string;
  /** `done`, `unchanged`, or why it was refused. */
  readonly outcome: string;
}

export type Audit = (entry: AuditEntry) => void;

const statusOf: Readonly<Record<RefusedCause, number>> = {
  "no-rollout": 404,
  "wrong-phase": 409,
  conflict: 412,
  "not-saved": 503,
  invalid: 400,
};

const text = { type: "string", maxLength: 500 } as const;
const changeSchema = { type: "object", additionalProperties: false, properties: { why: text, by: text } } as const;
const splitSchema = {
  type: "object",
  additionalProperties: false,
  required: ["split"],
  properties: {
    split: { type: "object", minProperties: 1, additionalProperties: { type: "number", minimum: 0, maximum: 100 } },
    for: { type: "string", description: "how long, such as 30m; without it until the configuration changes it" },
    why: text,
    by: text,
  },
} as const;

interface ChangeBody {
  readonly why?: string;
  readonly by?: string;
}
interface SplitBody extends ChangeBody {
  readonly split: Readonly<Record<string, number>>;
  readonly for?: string;
}
interface OfRelease {
  readonly Params: { readonly release: string };
}

export function addRollouts(server: FastifyInstance, rollouts: Rollouts | undefined, audit: Audit): void {
  server.get("/api/rollouts", { schema: { summary: "All rollouts and the splits set for a while" } }, (_, reply) => {
    reply.header("etag", etag(rollouts?.revision ?? 0));
    return reply.send({
      revision: rollouts?.revision ?? 0,
      rollouts: rollouts?.all().map(rolloutBody) ?? [],
      splits: rollouts?.splits().map(splitBody) ?? [],
    });
  });
  server.get<OfRelease>("/api/rollouts/:release", { schema: { summary: "One rollout" } }, (request, reply) => {
    const status = rollouts?.of(request.params.release);
    if (status === undefined) return refuseMissing(reply, request.params.release);
    return reply.header("etag", etag(status.revision)).send(rolloutBody(status));
  });
  for (const verb of verbs) {
    const schema = { summary: `${verb} a rollout`, body: changeSchema };
    const options = { schema, preValidation: allowNoBody };
    server.post<OfRelease & { Body: ChangeBody }>(`/api/rollouts/:release/${verb}`, options, async (request, reply) => {
      const { release } = request.params;
      return changing(request, reply, audit, { what: verb, release }, async (change) => {
        if (rollouts === undefined) return noRollout(release);
        const answer = await rollouts.change(release, verb, change);
        if (answer.kind === "refused") return answer;
        const { status, changed } = answer;
        return { kind: "done", changed, revision: status.revision, body: { changed, rollout: rolloutBody(status) } };
      });
    });
  }
  const schema = { summary: "Set the split of a release for a while", body: splitSchema };
  server.post<OfRelease & { Body: SplitBody }>("/api/releases/:release/split", { schema }, async (request, reply) => {
    const { release } = request.params;
    return changing(request, reply, audit, { what: "split", release }, async (change) => {
      const { split, for: span } = request.body;
      const forMs = span === undefined ? undefined : parseDuration(span);
      if (span !== undefined && forMs === undefined) {
        return { kind: "refused", cause: "invalid", message: `"for" must be a duration such as 30m, not "${span}".` };
      }
      if (rollouts === undefined) return noRollout(release);
      const answer = await rollouts.setSplit(release, split, forMs, change);
      if (answer.kind === "refused") return answer;
      const { revision } = answer;
      return {
        kind: "done",
        changed: true,
        revision,
        body: { changed: true, revision, split: splitBody(answer.split) },
      };
    });
  });
}

type Outcome =
  | { readonly kind: "done"; readonly changed: boolean; readonly revision: number; readonly body: object }
  | { readonly kind: "refused"; readonly cause: RefusedCause; readonly message: string };

async function changing(
  request: FastifyRequest<{ Body: ChangeBody }>,
  reply: FastifyReply,
  audit: Audit,
  about: Pick<AuditEntry, "what" | "release">,
  make: (change: Change) => Promise<Outcome>,
): Promise<FastifyReply> {
  const who = callerName(request.headers.authorization, request.body.by);
  const why = request.body.why ?? "";
  const ifRevision = revisionOf(request.headers["if-match"]);
  const outcome: Outcome =
    ifRevision === "malformed"
      ? { kind: "refused", cause: "invalid", message: 'If-Match must be one revision in quotes, such as "12".' }
      : await make({ why, by: who, ifRevision });
  if (outcome.kind === "refused") {
    audit({ who, why, ...about, outcome: `refused: ${outcome.cause}` });
    return sendProblem(reply, statusOf[outcome.cause], outcome.cause, outcome.message);
  }
  audit({ who, why, ...about, outcome: outcome.changed ? "done" : "unchanged" });
  return reply.header("etag", etag(outcome.revision)).send(outcome.body);
}

/** The start of a digest tells tokens apart in a log and reveals none. */
function callerName(authorization: string | undefined, by: string | undefined): string {
  const token = authorization?.replace(/^bearer +/i, "").trim() ?? "";
  const digest = createHash("sha256").update(Buffer.from(token, "latin1")).digest("hex");
  return `token ${digest.slice(0, 6)}${by === undefined || by === "" ? "" : ` (${by})`}`;
}

/** RFC 9110 §13.1.1. `*` matches whatever the revision is. */
function revisionOf(ifMatch: string | undefined): number | undefined | "malformed" {
  if (ifMatch === undefined || ifMatch.trim() === "*") return undefined;
  const digits = /^"(\d{1,15})"$/.exec(ifMatch.trim())?.[1];
  return digits === undefined ? "malformed" : Number(digits);
}

/** `curl -X POST` sends no body at all. */
async function allowNoBody(request: FastifyRequest): Promise<void> {
  request.body ??= {};
}

const etag = (revision: number): string => `"${revision}"`;

function noRollout(release: string): Outcome {
  return { kind: "refused", cause: "no-rollout", message: missing(release) };
}

function refuseMissing(reply: FastifyReply, release: string): FastifyReply {
  return sendProblem(reply, statusOf["no-rollout"], "no-rollout", missing(release));
}

const missing = (release: string): string => `Release ${release} has no rollout.`;
