import type { FastifyInstance } from "fastify";
import type { RolloutEvent } from "../rollout/rollout-state.ts";
import type { Rollouts } from "../rollout/rollouts-api.ts";
import { sendProblem } from "./problem.ts";
import { eventBody } from "./rollout-body.ts";
import { refTo } from "./schemas.ts";
import { retryLine, type SseOptions, type SseStream, SseStreams, sseFrame } from "./sse-stream.ts";

const maxStreams = 32;
/** Unsent bytes of one stream. What a client that reads slowly has not been sent stays where all events are. */
const maxUnsentBytes = 262_144;

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

/** `/api/events`, server-sent events. */
export function addEvents(
  server: FastifyInstance,
  rollouts: Rollouts | undefined,
  options: Pick<SseOptions, "mayRead" | "heartbeatMs">,
): void {
  const streams = new SseStreams({ ...options, max: maxStreams, what: "events" });
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
    return streams.answer(request, reply, (stream) => {
      const events = new EventStream(stream, rollouts, after);
      return () => events.close();
    });
  });
}

/** Sends one client the events after the last one it knows, as fast as it reads. */
class EventStream {
  readonly #stream: SseStream;
  readonly #rollouts: Rollouts | undefined;
  readonly #unsubscribe: (() => void) | undefined;
  /** The last event sent. */
  #last: number;

  /** `after`: the last event that the client knows; undefined: all so far. */
  constructor(stream: SseStream, rollouts: Rollouts | undefined, after: number | undefined) {
    this.#stream = stream;
    this.#rollouts = rollouts;
    const kept = rollouts?.eventsAfter(0) ?? [];
    const newest = kept.at(-1)?.id ?? 0;
    const beforeAll = (kept[0]?.id ?? 1) - 1;
    const known = after ?? newest;
    // Beyond the newest: the events were lost with the state file, and their ids are given again.
    this.#last = known === 0 || known > newest ? beforeAll : known;
    // An id without data is not dispatched as an event, but the client still resumes from it.
    stream.write(`${retryLine}id: ${this.#last}\n\n`);
    if (known > newest) stream.write(gap(known, beforeAll + 1));
    stream.onDrain(() => this.#send());
    this.#unsubscribe = rollouts?.subscribe(() => this.#send());
    this.#send();
  }

  close(): void {
    this.#unsubscribe?.();
  }

  #send(): void {
    for (const event of this.#rollouts?.eventsAfter(this.#last) ?? []) {
      if (this.#stream.unsentBytes > maxUnsentBytes) return;
      if (event.id > this.#last + 1) this.#stream.write(gap(this.#last, event.id));
      this.#stream.write(frame(event));
      this.#last = event.id;
    }
  }
}

function frame(event: RolloutEvent): string {
  return sseFrame(event.type, JSON.stringify(eventBody(event)), event.id);
}

/** Says that older events are missing because they are no longer kept. The current state is in /api/rollouts. */
function gap(after: number, next: number): string {
  return sseFrame("gap", JSON.stringify({ after, next }));
}
