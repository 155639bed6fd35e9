import { STATUS_CODES } from "node:http";
import type { FastifyReply } from "fastify";

declare module "fastify" {
  interface FastifyReply {
    /** The `error` of the problem that was sent; empty before. */
    problemCode: string;
  }
}

/** An error answer, RFC 9457. `error` is a code for programs. */
interface Problem {
  readonly type: "about:blank";
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly error: string;
  readonly problems?: readonly string[];
}

export const problemType = "application/problem+json";

export function sendProblem(
  reply: FastifyReply,
  status: number,
  error: string,
  detail: string,
  problems?: readonly string[],
): FastifyReply {
  const title = STATUS_CODES[status] ?? "Error";
  const body: Problem = { type: "about:blank", title, status, detail, error, ...(problems && { problems }) };
  reply.problemCode = error;
  return reply.code(status).type(problemType).send(body);
}

/** What is wrong with a request that no handler has seen, by the status that the server gave it. */
const causes: Readonly<Record<number, readonly [error: string, detail: string]>> = {
  413: ["body-too-large", "The body is larger than is allowed here."],
  415: ["wrong-content-type", "A body must be JSON: send it with Content-Type: application/json."],
};

/** Answers an error that the server found before a handler ran. */
export function sendRequestProblem(reply: FastifyReply, status: number, error: Error): FastifyReply {
  const cause = causes[status];
  if (cause !== undefined) return sendProblem(reply, status, ...cause);
  if ("validation" in error) {
    return sendProblem(reply, status, "bad-request", "The request is malformed.", [error.message]);
  }
  const isOfBody = error instanceof SyntaxError || ("code" in error && String(error.code).startsWith("FST_ERR_CTP"));
  return sendProblem(
    reply,
    status,
    "bad-request",
    isOfBody ? "The body is not valid JSON." : "The request is malformed.",
  );
}
