import { Agent, request } from "undici";
import type { Schedule } from "../../upstream/clock.ts";

export interface Post {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type Posted =
  | { readonly kind: "answered"; readonly status: number; readonly text: string }
  /** A clause in words, such as `no answer within 5 s`. */
  | { readonly kind: "failed"; readonly why: string };

const maxAnswerBytes = 1024 * 1024;

/** POSTs to services of others, with a time limit for the whole exchange. Follows no redirects. */
export class Poster {
  readonly #schedule: Schedule;
  readonly #limitMs: number;
  readonly #agent: Agent;
  readonly #closed = new AbortController();

  constructor(schedule: Schedule, limitMs: number) {
    this.#schedule = schedule;
    this.#limitMs = limitMs;
    this.#agent = new Agent({ connect: { timeout: limitMs }, maxResponseSize: maxAnswerBytes });
  }

  /** Never rejects. */
  async post({ url, headers, body }: Post): Promise<Posted> {
    const limit = new AbortController();
    const cancel = this.#schedule(this.#limitMs, () => limit.abort());
    try {
      const answer = await request(url, {
        dispatcher: this.#agent,
        method: "POST",
        headers,
        body,
        signal: AbortSignal.any([limit.signal, this.#closed.signal]),
      });
      return { kind: "answered", status: answer.statusCode, text: await answer.body.text() };
    } catch (error) {
      const why = limit.signal.aborted ? `no answer within ${this.#limitMs / 1000} s` : whyOf(error);
      return { kind: "failed", why };
    } finally {
      cancel();
    }
  }

  /** What is under way fails. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#agent.destroy();
  }
}

/** What the codes that people meet mean. */
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was cut",
  ENOTFOUND: "its name is unknown",
  EAI_AGAIN: "its name cannot be looked up now",
  UND_ERR_SOCKET: "the connection was cut",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
  UND_ERR_RES_EXCEEDED_MAX_SIZE: `its answer is larger than ${maxAnswerBytes / 1024 / 1024} MiB`,
};

function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, message, name } = error as NodeJS.ErrnoException;
  return words[code ?? ""] ?? (message || code || name);
}
