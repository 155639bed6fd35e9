import type { FastifyInstance } from "fastify";
import type { DecisionLine } from "../../observe/live/decision-tail.ts";
import { refTo } from "../schemas.ts";
import { retryLine, type SseOptions, SseStreams, sseFrame } from "../sse-stream.ts";
import type { LiveView } from "./live-view.ts";

const maxStreams = 20;
/** Unsent bytes of one stream when the next batch comes. */
const maxUnsentBytes = 1_048_576;

const name = { type: "string", minLength: 1, maxLength: 256 } as const;
const querystring = {
  type: "object",
  additionalProperties: false,
  properties: {
    release: name,
    version: { ...name, description: "The version served." },
    reason: name,
    rule: name,
    status: { type: "string", pattern: "^[1-9]([0-9]{2}|xx)$", description: "Such as 503 or 5xx." },
  },
} as const;

type DecisionFilter = { readonly [Name in keyof typeof querystring.properties]?: string };

/** `/api/decisions`: a sample of requests, as they end. Requests are sampled only while a client reads. */
export function addDecisions(
  server: FastifyInstance,
  live: LiveView,
  { mayRead, heartbeatMs }: Pick<SseOptions, "mayRead" | "heartbeatMs">,
): void {
  const streams = new SseStreams({ mayRead, heartbeatMs, max: maxStreams, what: "decisions" });
  const schema = {
    summary: "A sample of decisions as they are made, as a stream",
    querystring,
    answer: {
      type: "text/event-stream",
      schema: refTo("Decisions"),
      description: "Each event has a data line like this.",
    },
    problems: [400, 503],
  } as const;
  server.get<{ Querystring: DecisionFilter }>("/api/decisions", { schema }, (request, reply) =>
    streams.answer(request, reply, (stream) => {
      stream.write(`${retryLine}\n`);
      return live.onDecisions(({ lines, skipped }) => {
        if (!mayRead(request)) return stream.end();
        if (stream.unsentBytes > maxUnsentBytes) return stream.destroy();
        const matching = lines.filter((line) => matches(line, request.query));
        if (matching.length === 0 && skipped === 0) return;
        stream.write(sseFrame("decisions", JSON.stringify({ lines: matching, skipped })));
      });
    }),
  );
}

function matches(line: DecisionLine, { status, ...names }: DecisionFilter): boolean {
  const { release, version, reason, rule } = names;
  return (
    (release === undefined || line.release === release) &&
    (version === undefined || line.version === version) &&
    (reason === undefined || line.reason === reason) &&
    (rule === undefined || line.rule === rule) &&
    (status === undefined || hasStatus(line, status))
  );
}

function hasStatus({ status }: DecisionLine, wanted: string): boolean {
  return wanted.endsWith("xx") ? Math.floor(status / 100) === Number(wanted[0]) : status === Number(wanted);
}
