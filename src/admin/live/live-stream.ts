import type { FastifyInstance, FastifyRequest } from "fastify";
import type { AccessBody } from "../access.ts";
import type { AdminView } from "../api.ts";
import { sendProblem } from "../problem.ts";
import { refTo } from "../schemas.ts";
import { type SseOptions, SseStreams } from "../sse-stream.ts";
import { LiveFeed, type LogPosition } from "./live-feed.ts";

const maxStreams = 100;
/** Unsent bytes of one stream, beside its first frames. */
const maxUnsentBytes = 1_048_576;
/** The instance and the entry. */
const position = /^([\x21-\x7e]{1,128})\.(\d{1,15})$/;

export interface LiveOptions extends Pick<SseOptions, "mayRead" | "heartbeatMs"> {
  /** What the caller may do by now. */
  readonly accessOf: (request: FastifyRequest) => AccessBody;
  readonly nowMs: () => number;
}

/** `/api/live`: the current state, then every second what has changed. */
export function addLiveStream(server: FastifyInstance, view: AdminView, options: LiveOptions): void {
  const { accessOf, mayRead, heartbeatMs, nowMs } = options;
  const streams = new SseStreams({ max: maxStreams, what: "this", mayRead, heartbeatMs });
  const feed = new LiveFeed(view, nowMs);
  const schema = {
    summary: "The current state, then every second what has changed, as a stream",
    parameters: [
      { name: "Last-Event-ID", in: "header", required: false, schema: { type: "string", pattern: position.source } },
    ],
    answer: {
      type: "text/event-stream",
      schema: refTo("LiveData"),
      description: "Each event has a data line like this: state first, then change, tick, log and log-reset.",
    },
    problems: [400, 503],
  } as const;
  server.get("/api/live", { schema }, (request, reply) => {
    const given = request.headers["last-event-id"];
    const after = typeof given === "string" ? parsePosition(given) : undefined;
    if (given !== undefined && after === undefined) {
      return sendProblem(reply, 400, "bad-query", "Last-Event-ID must be the id of a log event.");
    }
    const access = accessOf(request);
    return streams.answer(request, reply, (stream) => {
      const { greeting, leave } = feed.join({
        access,
        after,
        onSecond: (frames) => {
          // The next stream begins with the state as this caller may see it then.
          if (!mayRead(request) || accessOf(request).change !== access.change) stream.end();
          else if (stream.unsentBytes > limitBytes) stream.destroy();
          else if (frames.length > 0) stream.write(frames);
        },
      });
      const first = Buffer.from(greeting);
      // Else a client that needs more than a second for a large state would never get beyond it.
      const limitBytes = first.length + maxUnsentBytes;
      stream.write(first);
      return leave;
    });
  });
}

function parsePosition(text: string): LogPosition | undefined {
  const [, instance, id] = position.exec(text) ?? [];
  return instance === undefined ? undefined : { instance, id: Number(id) };
}
