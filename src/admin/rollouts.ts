import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { parseDuration } from "../config/schema-kit/scalars.ts";
import { type Change, type RefusedCause, type Rollouts, verbs } from "../rollout/rollouts-api.ts";
import { whoOf } from "./audit.ts";
import { askedRevisions, requiredRevision } from "./if-match.ts";
import { sendProblem } from "./problem.ts";
import { rolloutBody, rolloutsBody, splitBody } from "./rollout-body.ts";
import { refTo } from "./schemas.ts";

const statusOf: Readonly<Record<RefusedCause, number>> = {
  "no-rollout": 404,
  "wrong-phase": 409,
  conflict: 412,
  "not-saved": 503,
  invalid: 400,
};

/** Without controls, line ends and marks that turn the direction of text: it is shown in terminals and logs. */
export const line = "^[^\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Bidi_Control}]*$";
const ofChange = {
  why: { type: "string", maxLength: 500, pattern: line, description: "For the audit log and the events: one line." },
  by: {
    type: "string",
    maxLength: 64,
    pattern: "^[^\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Bidi_Control}()]*$",
    description: "Who the caller says it is; the token is named beside it.",
  },
} as const;
const changeSchema = { type: "object", additionalProperties: false, properties: ofChange } as const;
const splitSchema = {
  type: "object",
  additionalProperties: false,
  required: ["split"],
  properties: {
    split: {
      type: "object",
      minProperties: 1,
      maxProperties: 100,
      additionalProperties: { type: "number", minimum: 0, maximum: 1e9 },
      description: "Weights of versions; a share is weight / sum.",
    },
    for: {
      type: "string",
      maxLength: 40,
      description: "How long, such as 30m. Without it until the configuration changes it.",
    },
    ...ofChange,
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

const ofChanges = [400, 404, 412, 413, 415, 503] as const;

/** `/api/rollouts` and the split that is set for a while. */
export function addRollouts(server: FastifyInstance, rollouts: Rollouts | undefined): void {
  addReading(server, rollouts);
  for (const verb of verbs) {
    const schema = {
      summary: `${verb} a rollout`,
      body: changeSchema,
      answer: { schema: refTo("ChangedRollout"), etag: true },
      problems: [...ofChanges, 409],
    };
    const options = { schema, preValidation: allowNoBody };
    server.post<OfRelease & { Body: ChangeBody }>(`/api/rollouts/:release/${verb}`, options, async (request, reply) => {
      const { release } = request.params;
      return changing(request, reply, rollouts, async (change, running) => {
        const answer = await running.change(release, verb, change);
        if (answer.kind === "refused") return answer;
        const { status, changed } = answer;
        return { kind: "done", changed, revision: status.revision, body: { changed, rollout: rolloutBody(status) } };
      });
    });
  }
  addEndOfSplit(server, rollouts);
  const answer = { schema: refTo("ChangedSplit"), etag: true };
  const schema = { summary: "Set the split of a release for a while", body: splitSchema, answer, problems: ofChanges };
  server.post<OfRelease & { Body: SplitBody }>("/api/releases/:release/split", { schema }, async (request, reply) => {
    const { release } = request.params;
    return changing(request, reply, rollouts, async (change, running) => {
      const { split, for: span } = request.body;
      const forMs = span === undefined ? undefined : parseDuration(span);
      if (span !== undefined && forMs === undefined) {
        return { kind: "refused", cause: "invalid", message: `"for" must be a duration such as 30m, not "${span}".` };
      }
      const done = await running.setSplit(release, split, forMs, change);
      if (done.kind === "refused") return done;
      const { revision } = done;
      const body = { changed: true, revision, split: splitBody(done.split) };
      return { kind: "done", changed: true, revision, body };
    });
  });
}

/** Undoes what `POST …/split` did. */
function addEndOfSplit(server: FastifyInstance, rollouts: Rollouts | undefined): void {
  const schema = {
    summary: "End the split that an operator set, so that the configured one holds",
    body: changeSchema,
    answer: { schema: refTo("EndedSplit"), etag: true },
    problems: ofChanges,
  };
  const options = { schema, preValidation: allowNoBody };
  server.delete<OfRelease & { Body: ChangeBody }>("/api/releases/:release/split", options, async (request, reply) =>
    changing(request, reply, rollouts, async (change, running) => {
      const done = await running.endSplit(request.params.release, change);
      if (done.kind === "refused") return done;
      const { revision, split } = done;
      return { kind: "done", changed: true, revision, body: { changed: true, revision, ended: splitBody(split) } };
    }),
  );
}

function addReading(server: FastifyInstance, rollouts: Rollouts | undefined): void {
  const all = {
    summary: "All rollouts and the splits set for a while",
    answer: { schema: refTo("Rollouts"), etag: true },
  };
  server.get("/api/rollouts", { schema: all }, (_, reply) => {
    const body = rolloutsBody(rollouts);
    return reply.header("etag", etag(body.revision)).send(body);
  });
  const one = { summary: "One rollout", answer: { schema: refTo("Rollout"), etag: true }, problems: [404] };
  server.get<OfRelease>("/api/rollouts/:release", { schema: one }, (request, reply) => {
    const { release } = request.params;
    const status = rollouts?.of(release);
    return status === undefined
      ? sendProblem(reply, statusOf["no-rollout"], "no-rollout", missing(release))
      : reply.header("etag", etag(status.revision)).send(rolloutBody(status));
  });
}

type Outcome =
  | { readonly kind: "done"; readonly changed: boolean; readonly revision: number; readonly body: object }
  | { readonly kind: "refused"; readonly cause: RefusedCause; readonly message: string };

/** Makes a change at the requested revision, and responds. */
async function changing(
  request: FastifyRequest<OfRelease & { Body: ChangeBody }>,
  reply: FastifyReply,
  rollouts: Rollouts | undefined,
  make: (change: Change, rollouts: Rollouts) => Promise<Outcome>,
): Promise<FastifyReply> {
  const asked = askedRevisions(request.headers["if-match"]);
  if (asked === "malformed") {
    return sendProblem(reply, 400, "invalid", 'If-Match must be a revision in quotes, such as "12".');
  }
  if (rollouts === undefined) return sendProblem(reply, 404, "no-rollout", missing(request.params.release));
  const ifRevision = requiredRevision(asked, rollouts.revision);
  const by = whoOf(request);
  const outcome = await make({ why: reasonIn(request.body, by), by, ifRevision }, rollouts);
  if (outcome.kind === "refused") return sendProblem(reply, statusOf[outcome.cause], outcome.cause, outcome.message);
  request.changedAnything = outcome.changed;
  return reply.header("etag", etag(outcome.revision)).send(outcome.body);
}

/** The reason for events and status sentences; without one from the caller, they say that there was none. */
function reasonIn({ why = "" }: ChangeBody, by: string): string {
  return why.trim() === "" ? `${by} asked for it and gave no reason` : why;
}

/** `curl -X POST` sends no body at all. */
async function allowNoBody(request: FastifyRequest): Promise<void> {
  request.body ??= {};
}

const etag = (revision: number): string => `"${revision}"`;
const missing = (release: string): string => `Release ${release} has no rollout.`;
