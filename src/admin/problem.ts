import { STATUS_CODES } from "node:http";
import type { FastifyReply } from "fastify";

/** An error answer, RFC 9457. `error` is a code for programs. */
export interface Problem {
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
  return reply.code(status).type(problemType).send(body);
}
