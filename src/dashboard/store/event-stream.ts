import { headersOf } from "./session.ts";
import { type ServerEvent, SseReader } from "./sse-reader.ts";

export type StreamState =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  /** It tries again by itself. */
  | { readonly kind: "lost"; readonly why: string }
  /** The server wants a token, or another one. */
  | { readonly kind: "refused"; readonly message: string };

export interface StreamParts {
  readonly path: string;
  readonly onEvent: (event: ServerEvent) => void;
  readonly onState: (state: StreamState) => void;
}

const firstRetryMs = 500;
const maxRetryMs = 5_000;
/** The server sends something every second; without anything for so long the connection is dead. */
const silentMs = 20_000;

/** Follows a stream of the server until it is closed, over lost connections, from where it was. */
export class EventStream {
  readonly #parts: StreamParts;
  #abort = new AbortController();
  #lastId: string | undefined;
  #retryMs = firstRetryMs;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    void this.#follow();
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#abort.abort();
  }

  async #follow(): Promise<void> {
    const { onState } = this.#parts;
    const { signal } = this.#abort;
    onState({ kind: "connecting" });
    const why = await this.#read(signal).catch((error: unknown) =>
      error instanceof Error ? error.message : String(error),
    );
    if (signal.aborted || why === undefined) return;
    onState({ kind: "lost", why });
    this.#retry = setTimeout(() => void this.#follow(), this.#retryMs);
    this.#retryMs = Math.min(maxRetryMs, this.#retryMs * 2);
  }

  /** Returns why it ended; undefined if there is no point in trying again. */
  async #read(signal: AbortSignal): Promise<string | undefined> {
    const { path, onEvent, onState } = this.#parts;
    const resume = this.#lastId === undefined ? {} : { "last-event-id": this.#lastId };
    const silence = new AbortController();
    const within = <T>(step: Promise<T>): Promise<T> => {
      const timer = setTimeout(() => silence.abort(new Error("the server is silent")), silentMs);
      return step.finally(() => clearTimeout(timer));
    };
    const answer = await within(
      fetch(path, {
        headers: { ...headersOf(), ...resume },
        signal: AbortSignal.any([signal, silence.signal]),
        cache: "no-store",
      }),
    );
    if (answer.status === 401 || answer.status === 403) {
      const { detail } = (await answer.json()) as { readonly detail: string };
      onState({ kind: "refused", message: detail });
      return undefined;
    }
    if (!answer.ok || answer.body === null) return `the server answered ${answer.status}`;
    onState({ kind: "open" });
    this.#retryMs = firstRetryMs;
    const reader = new SseReader();
    const text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await within(text.read());
      if (done) return "the server ended the connection";
      for (const event of reader.read(value)) {
        this.#lastId = event.id ?? this.#lastId;
        onEvent(event);
      }
    }
  }
}
