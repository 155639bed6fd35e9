import type { EventDraft } from "./controller-parts.ts";
import type { RolloutEvent, RolloutState } from "./rollout-state.ts";

/** More than anyone scrolls through; bounds the state file. */
const maxEvents = 1_000;

/** The newest events, and those who want to hear of more. */
export class EventLog {
  #events: readonly RolloutEvent[];
  readonly #listeners = new Set<(event: RolloutEvent) => void>();

  constructor(saved: readonly RolloutEvent[]) {
    this.#events = saved.slice(-maxEvents);
  }

  get all(): readonly RolloutEvent[] {
    return this.#events;
  }

  get nextId(): number {
    return (this.#events.at(-1)?.id ?? 0) + 1;
  }

  /** What `all` is once these are added. */
  with(events: readonly RolloutEvent[]): readonly RolloutEvent[] {
    return [...this.#events, ...events].slice(-maxEvents);
  }

  add(events: readonly RolloutEvent[]): void {
    this.#events = this.with(events);
    for (const event of events) for (const listener of this.#listeners) listener(event);
  }

  after(id: number): readonly RolloutEvent[] {
    return this.#events.filter((event) => event.id > id);
  }

  subscribe(listener: (event: RolloutEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}

type About = Pick<RolloutEvent, "id" | "atMs" | "release" | "evidence"> & { readonly state: RolloutState | undefined };

export function eventOf(draft: EventDraft, { state, ...about }: About): RolloutEvent {
  const phase = state?.phase ?? null;
  const step = state === undefined ? null : state.step + 1;
  return { ...about, ...draft, rollout: state?.id ?? null, phase, step, weight: state?.weight ?? null };
}
