import { headersOf } from "./session.ts";
import { type ServerEvent, SseReader } from "./sse-reader.ts";

/** A number: the status that the server answered. */
export type LostReason = "unreachable" | "silent" | "ended" | "hidden" | number;

export type StreamState =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  /** It reconnects automatically. */
  | { readonly kind: "lost"; readonly why: LostReason }
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
    const silence = new AbortController();
    const why = await this.#read(signal, silence).catch(
      (): LostReason => (silence.signal.aborted ? "silent" : "unreachable"),
    );
    if (signal.aborted || why === undefined) return;
    onState({ kind: "lost", why });
    this.#retry = setTimeout(() => void this.#follow(), this.#retryMs);
    this.#retryMs = Math.min(maxRetryMs, this.#retryMs * 2);
  }

  /** Returns why it ended; undefined if there is no point in trying again. */
  async #read(signal: AbortSignal, silence: AbortController): Promise<LostReason | undefined> {
    const { path, onEvent, onState } = this.#parts;
    const resume = this.#lastId === undefined ? {} : { "last-event-id": this.#lastId };
    const within = <T>(step: Promise<T>): Promise<T> => {
      const timer = setTimeout(() => silence.abort(), silentMs);
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
    if (!answer.ok || answer.body === null) return answer.status;
    onState({ kind: "open" });
    this.#retryMs = firstRetryMs;
    const reader = new SseReader();
    const text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await within(text.read());
      if (done) return "ended";
      for (const event of reader.read(value)) {
        this.#lastId = event.id ?? this.#lastId;
        onEvent(event);
      }
    }
  }
}
