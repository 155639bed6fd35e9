import type { FastifyInstance, FastifyReply } from "fastify";
import { explainPath } from "./access.ts";
import type { AdminView } from "./api.ts";
import type { ParameterDoc } from "./openapi.ts";
import { sendProblem } from "./problem.ts";
import { explainParameters, parseExplainQuery } from "./queries.ts";
import { refTo } from "./schemas.ts";

/** More than any server reads of a request's head. */
const questionBytes = 128 * 1024;

const once = { type: "string" };
const repeated = { type: "array", items: once };
const parameterSchemas = {
  url: once,
  method: once,
  header: repeated,
  cookie: repeated,
  client: once,
  listener: once,
} as const;

interface Question {
  readonly url: string;
  readonly method?: string;
  readonly header?: readonly string[];
  readonly cookie?: readonly string[];
  readonly client?: string;
  readonly listener?: string;
}

/**
 * `/api/explain`: which version a request gets, and why. With GET the request is in the URL, which proxies log; with POST
 * in a body, as it may have secrets.
 */
export function addExplain(server: FastifyInstance, view: AdminView): void {
  const shared = {
    summary: "Which version a request gets, and why",
    answer: { schema: refTo("Explanation") },
    problems: [400],
  };
  const parameters = explainParameters.map((name): ParameterDoc => {
    return { name, in: "query", required: name === "url", schema: parameterSchemas[name] };
  });
  server.get(explainPath, { schema: { ...shared, parameters } }, (request, reply) =>
    explain(view, new URLSearchParams(/\?(.*)/.exec(request.url)?.[1]), reply),
  );
  const body = { type: "object", additionalProperties: false, required: ["url"], properties: parameterSchemas };
  const schema = { ...shared, isQuestion: true, body, problems: [400, 413, 415] } as const;
  server.post<{ Body: Question }>(explainPath, { schema, bodyLimit: questionBytes }, ({ body: question }, reply) => {
    const search = Object.entries(question).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));
    return explain(view, new URLSearchParams(search), reply);
  });
}

async function explain(view: AdminView, search: URLSearchParams, reply: FastifyReply): Promise<FastifyReply> {
  const parsed = parseExplainQuery(search);
  if (parsed.kind === "problems") {
    return sendProblem(reply, 400, "bad-query", "The query is not valid.", parsed.problems);
  }
  const answer = await view.explain(parsed.query);
  if (answer.kind === "refused") return sendProblem(reply, 400, "bad-query", answer.message);
  return reply.send(answer.explanation);
}
