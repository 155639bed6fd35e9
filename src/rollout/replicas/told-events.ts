import type { RolloutEvent } from "../rollout-state.ts";

type Listener = (event: RolloutEvent) => void;

/** Tells listeners of events, each once, whoever has told of it: the shared state, or this replica while it leads. */
export class ToldEvents {
  readonly #listeners = new Set<Listener>();
  /** Undefined: what had happened before this replica began is no news. */
  #last: number | undefined;

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** `events`: all that are kept, or the newest; in order. Returns those that are news. */
  tell(events: readonly RolloutEvent[]): readonly RolloutEvent[] {
    const last = this.#last;
    this.#last = events.at(-1)?.id ?? last ?? 0;
    const news = last === undefined ? [] : events.filter(({ id }) => id > last);
    for (const event of news) for (const listener of this.#listeners) listener(event);
    return news;
  }
}
