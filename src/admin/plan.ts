import type { FastifyInstance, FastifyReply } from "fastify";
import { planPath, previewPath } from "./access.ts";
import type { Planner } from "./plan-bodies.ts";
import { sendProblem } from "./problem.ts";
import { refTo } from "./schemas.ts";

/** A configuration of the largest size that is planned, with what JSON escapes. */
const planBodyBytes = 1.5 * 1024 * 1024;

const planSchema = {
  summary: "What a configuration would do in place of the active one",
  isQuestion: true,
  body: {
    type: "object",
    additionalProperties: false,
    required: ["config"],
    properties: { config: { type: "string", description: "The text of the file, up to 1 MiB." } },
  },
  answer: { schema: refTo("Plan") },
  problems: [400, 413, 415, 503],
} as const;

const previewSchema = {
  summary: "How many users another split would move",
  querystring: {
    type: "object",
    additionalProperties: false,
    required: ["split"],
    properties: {
      split: { type: "string", maxLength: 10_000, description: "Weights of versions: stable:90,canary:10" },
    },
  },
  answer: { schema: refTo("SplitPreview") },
  problems: [400, 404, 503],
} as const;

/** What configurations and splits would do. Nothing here changes anything. */
export function addPlan(server: FastifyInstance, planner: Planner): void {
  const ofPlan = { schema: planSchema, bodyLimit: planBodyBytes };
  server.post<{ Body: { readonly config: string } }>(planPath, ofPlan, async (request, reply) => {
    const answer = await planner.plan(request.body.config);
    if (answer.kind === "busy") return sendBusy(reply, answer.message);
    if (answer.kind === "invalid") return reply.send({ valid: false, problems: answer.problems });
    return reply.send({ valid: true, warnings: answer.warnings, plan: answer.plan });
  });
  server.get<{ Params: { readonly release: string }; Querystring: { readonly split: string } }>(
    previewPath,
    { schema: previewSchema },
    async (request, reply) => {
      const split = readSplit(request.query.split);
      if (split === undefined) return sendProblem(reply, 400, "invalid", notASplit);
      const answer = await planner.previewSplit(request.params.release, split);
      if (answer.kind === "preview") return reply.send(answer.preview);
      if (answer.kind === "busy") return sendBusy(reply, answer.message);
      if (answer.kind === "no-release") return sendProblem(reply, 404, answer.kind, answer.message);
      return sendProblem(reply, 400, answer.kind, answer.message);
    },
  );
}

function sendBusy(reply: FastifyReply, message: string): FastifyReply {
  return sendProblem(reply.header("retry-after", "2"), 503, "busy", message);
}

const notASplit = '"split" must be weights of different versions, such as stable:90,canary:10.';
const maxWeight = 1e9;

/** `stable:90,canary:10`; undefined if it is nothing of the kind. */
function readSplit(text: string): Readonly<Record<string, number>> | undefined {
  const weights = new Map<string, number>();
  for (const part of text.split(",")) {
    const [, version, weight] = /^([^:]+):(\d{1,10}(?:\.\d{1,10})?)$/.exec(part) ?? [];
    if (version === undefined || weights.has(version) || Number(weight) > maxWeight) return undefined;
    weights.set(version, Number(weight));
  }
  return Object.fromEntries(weights);
}
