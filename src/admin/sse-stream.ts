import type { ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { sendProblem } from "./problem.ts";

/** Less than the idle timeout of the server, and of usual proxies. */
const defaultHeartbeatMs = 15_000;
/** How long a client waits before it connects again. */
const retryMs = 2_000;

/** Begins a stream. */
export const retryLine = `retry: ${retryMs}\n`;

/** One event. JSON has no line breaks, so one data line holds it. */
export function sseFrame(event: string, json: string, id?: string | number): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${json}\n\n`;
}

/** Server-sent events to one client. */
export class SseStream {
  readonly #raw: ServerResponse;
  #unsentWrites = 0;
  #hasSent = false;
  #wasStuck = false;

  constructor(raw: ServerResponse) {
    this.#raw = raw;
  }

  get unsentBytes(): number {
    return this.#raw.writableLength;
  }

  /** Calls the listener when all that was written is sent. */
  onDrain(listener: () => void): void {
    this.#raw.on("drain", listener);
  }

  write(frames: string | Uint8Array): void {
    // Until an ended response is closed, a write to it would be an error.
    if (this.#raw.writableEnded || this.#raw.destroyed) return;
    this.#unsentWrites++;
    this.#raw.write(frames, () => {
      this.#unsentWrites--;
      this.#hasSent = true;
    });
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
    this.write(": still here\n\n");
  }

  end(): void {
    this.#raw.end();
  }

  /** Gives up what is unsent, and with it a client that reads too slowly. */
  destroy(): void {
    this.#raw.destroy();
  }
}

export interface SseOptions {
  /** Concurrent streams. Each is an open response, so it occupies a connection place. */
  readonly max: number;
  /** What is followed, as a problem names it. */
  readonly what: string;
  /** Whether the caller may still read: tokens can be withdrawn while a stream is open. */
  readonly mayRead: (request: FastifyRequest) => boolean;
  /** Default: 15 s. */
  readonly heartbeatMs?: number | undefined;
}

/** The streams of one route. */
export class SseStreams {
  readonly #options: SseOptions;
  #open = 0;

  constructor(options: SseOptions) {
    this.#options = options;
  }

  /**
   * Answers with a stream, or with a problem if there are too many. `follow` begins to write to it, and returns what is
   * done when it is closed. Of HEAD there is the header only.
   */
  answer(request: FastifyRequest, reply: FastifyReply, follow: (stream: SseStream) => () => void): FastifyReply {
    const { max, what, mayRead, heartbeatMs = defaultHeartbeatMs } = this.#options;
    if (this.#open >= max) {
      reply.header("retry-after", "5");
      return sendProblem(reply, 503, "too-many-streams", `At most ${max} clients can follow ${what} at once.`);
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
    const stream = new SseStream(raw);
    const unfollow = follow(stream);
    this.#open++;
    const heartbeat = setInterval(() => (mayRead(request) ? stream.beat() : stream.end()), heartbeatMs);
    raw.once("close", () => {
      this.#open--;
      clearInterval(heartbeat);
      unfollow();
    });
    return reply;
  }
}
