import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { RolloutEvent } from "../rollout/rollout-state.ts";
import type { Rollouts } from "../rollout/rollouts-api.ts";
import { sendProblem } from "./problem.ts";
import { eventBody } from "./rollout-body.ts";
import { refTo } from "./schemas.ts";

/** Less than the idle timeout of the server, and of usual proxies. */
const defaultHeartbeatMs = 15_000;
const maxStreams = 32;
/** Unsent bytes of one stream. What a client that reads slowly has not been sent stays where all events are. */
const maxUnsentBytes = 262_144;
/** How long a client waits before it connects again. */
const retryMs = 2_000;

const eventId = /^\d{1,15}$/;
const querystring = {
  type: "object",
  properties: {
    after: {
      type: "string",
      pattern: eventId.source,
      description: "The last event known, where Last-Event-ID cannot be sent; 0: all that are kept.",
    },
  },
} as const;

export interface EventStreams {
  /** Whether the caller may still read: tokens can be withdrawn while a stream is open. */
  readonly mayRead: (request: FastifyRequest) => boolean;
  /** Default: 15 s. */
  readonly heartbeatMs?: number | undefined;
}

/** `/api/events`, server-sent events. The stream counts as a response that is due, and so has a connection place. */
export function addEvents(server: FastifyInstance, rollouts: Rollouts | undefined, options: EventStreams): void {
  let streams = 0;
  const { mayRead, heartbeatMs = defaultHeartbeatMs } = options;
  const schema = {
    summary: "Events of all rollouts, as a stream",
    querystring,
    parameters: [
      { name: "Last-Event-ID", in: "header", required: false, schema: { type: "string", pattern: eventId.source } },
    ],
    answer: { type: "text/event-stream", schema: refTo("Event"), description: "Each event has a data line like this." },
    problems: [400, 503],
  } as const;
  server.get<{ Querystring: { after?: string } }>("/api/events", { schema }, (request, reply) => {
    const given = request.headers["last-event-id"] ?? request.query.after;
    const after = typeof given === "string" && eventId.test(given) ? Number(given) : undefined;
    if (given !== undefined && after === undefined) {
      return sendProblem(reply, 400, "bad-query", "Last-Event-ID must be the id of an event.");
    }
    if (streams >= maxStreams) {
      reply.header("retry-after", "5");
      return sendProblem(reply, 503, "too-many-streams", `At most ${maxStreams} clients can follow events at once.`);
    }
    reply.hijack();
    const { raw } = reply;
    if (raw.destroyed) return reply;
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
    raw.writeHead(200, { "content-type": "text/event-stream" });
    if (request.method === "HEAD") {
      raw.end();
      return reply;
    }
    streams++;
    const stream = new EventStream(raw, rollouts, after);
    const heartbeat = setInterval(() => (mayRead(request) ? stream.beat() : raw.end()), heartbeatMs);
    raw.once("close", () => {
      streams--;
      clearInterval(heartbeat);
      stream.close();
    });
    return reply;
  });
}

/** Sends one client the events after the last one it knows, as fast as it reads. */
class EventStream {
  readonly #raw: ServerResponse;
  readonly #rollouts: Rollouts | undefined;
  readonly #unsubscribe: (() => void) | undefined;
  /** The last event sent. */
  #last: number;
  #unsentWrites = 0;
  #hasSent = false;
  #wasStuck = false;

  /** `after`: the last event that the client knows; undefined: all so far. */
  constructor(raw: ServerResponse, rollouts: Rollouts | undefined, after: number | undefined) {
    this.#raw = raw;
    this.#rollouts = rollouts;
    const kept = rollouts?.eventsAfter(0) ?? [];
    const newest = kept.at(-1)?.id ?? 0;
    const beforeAll = (kept[0]?.id ?? 1) - 1;
    const known = after ?? newest;
    // Beyond the newest: the events were lost with the state file, and their ids are given again.
    this.#last = known === 0 || known > newest ? beforeAll : known;
    // An id without data is no event, and yet what the client resumes from.
    this.#write(`retry: ${retryMs}\nid: ${this.#last}\n\n`);
    if (known > newest) this.#write(gap(known, beforeAll + 1));
    raw.on("drain", () => this.#send());
    this.#unsubscribe = rollouts?.subscribe(() => this.#send());
    this.#send();
  }

  close(): void {
    this.#unsubscribe?.();
  }

  /** Keeps the connection, or ends that of a client who has read nothing since the last beat but one. */
  beat(): void {
    const isStuck = this.#unsentWrites > 0 && !this.#hasSent;
    if (isStuck && this.#wasStuck) {
      this.#raw.destroy();
      return;
    }
    this.#wasStuck = isStuck;
    this.#hasSent = false;
    this.#write(": still here\n\n");
  }

  #send(): void {
    for (const event of this.#rollouts?.eventsAfter(this.#last) ?? []) {
      if (this.#raw.writableLength > maxUnsentBytes) return;
      if (event.id > this.#last + 1) this.#write(gap(this.#last, event.id));
      this.#write(frame(event));
      this.#last = event.id;
    }
  }

  #write(text: string): void {
    this.#unsentWrites++;
    this.#raw.write(text, () => {
      this.#unsentWrites--;
      this.#hasSent = true;
    });
  }
}

/** JSON has no line breaks, so one data line holds it. */
function frame(event: RolloutEvent): string {
  return `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(eventBody(event))}\n\n`;
}

/** Tells that events are missing, which are not kept any more: what is now is in /api/rollouts. */
function gap(after: number, next: number): string {
  return `event: gap\ndata: ${JSON.stringify({ after, next })}\n\n`;
}
