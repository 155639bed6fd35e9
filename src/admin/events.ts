import type { FastifyInstance } from "fastify";
import type { RolloutEvent } from "../rollout/rollout-state.ts";
import type { Rollouts } from "../rollout/rollouts-api.ts";
import { sendProblem } from "./problem.ts";
import { eventBody } from "./rollout-body.ts";

/** Less than the idle timeout of the server, and of usual proxies. */
const heartbeatMs = 15_000;
const maxStreams = 32;
/** Unsent bytes of one stream. A client that reads more slowly is cut, and resumes with Last-Event-ID. */
const maxUnsentBytes = 262_144;

const querystring = {
  type: "object",
  properties: { after: { type: "string", pattern: "^\\d{1,15}$", description: "the last event known" } },
} as const;

/** `/api/events`, server-sent events. The stream counts as a response that is due, and so has a connection place. */
export function addEvents(server: FastifyInstance, rollouts: Rollouts | undefined): void {
  let streams = 0;
  const schema = { summary: "Events of all rollouts, as a stream", querystring };
  server.get<{ Querystring: { after?: string } }>("/api/events", { schema }, (request, reply) => {
    const given = request.headers["last-event-id"] ?? request.query.after;
    const after = typeof given === "string" && /^\d{1,15}$/.test(given) ? Number(given) : undefined;
    if (given !== undefined && after === undefined) {
      return sendProblem(reply, 400, "bad-query", "Last-Event-ID must be the id of an event.");
    }
    if (streams >= maxStreams) {
      reply.header("retry-after", "5");
      return sendProblem(reply, 503, "too-many-streams", `At most ${maxStreams} clients can follow events.`);
    }
    streams++;
    reply.hijack();
    const { raw } = reply;
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
    raw.writeHead(200, { "content-type": "text/event-stream" });
    if (request.method === "HEAD") {
      streams--;
      raw.end();
      return reply;
    }
    const send = (text: string): void => {
      raw.write(text);
      if (raw.writableLength > maxUnsentBytes) raw.destroy();
    };
    send(": events\n\n");
    const unsubscribe = rollouts?.subscribe((event) => send(frame(event)));
    if (after !== undefined) for (const event of rollouts?.eventsAfter(after) ?? []) send(frame(event));
    const heartbeat = setInterval(() => send(": still here\n\n"), heartbeatMs);
    raw.once("close", () => {
      streams--;
      clearInterval(heartbeat);
      unsubscribe?.();
    });
    return reply;
  });
}

/** JSON has no line breaks, so one data line holds it. */
function frame(event: RolloutEvent): string {
  return `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(eventBody(event))}\n\n`;
}
