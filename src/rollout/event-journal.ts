import type { RolloutSpec } from "../decide/rollout-spec.ts";
import type { ControllerParts, EventDraft, Move } from "./controller-parts.ts";
import { type CheckResult, isOver, type RolloutEvent, type RolloutState } from "./rollout-state.ts";
import type { Running } from "./world.ts";

/** More than anyone scrolls through. */
const maxEvents = 1_000;

export interface EventJournalParts extends Pick<ControllerParts, "log" | "notify" | "nowMs"> {
  /** Of the release's rollout; undefined if none runs. */
  readonly specOf: (release: string) => RolloutSpec | undefined;
}

/** The newest events, and the receivers of new ones: the log, the notifier and subscribers. */
export class EventJournal {
  readonly #parts: EventJournalParts;
  readonly #listeners = new Set<(event: RolloutEvent) => void>();
  #events: readonly RolloutEvent[];

  constructor(saved: readonly RolloutEvent[], parts: EventJournalParts) {
    this.#events = saved.slice(-maxEvents);
    this.#parts = parts;
  }

  get all(): readonly RolloutEvent[] {
    return this.#events;
  }

  /** The events of a move, with the next numbers. `offset`: how many unpublished events come before them. */
  of({ state, events }: Move, evidence: readonly CheckResult[], offset = 0): readonly RolloutEvent[] {
    return events.map((draft, index) => this.one(state.release, state, draft, evidence, offset + index));
  }

  /** `state`: undefined for an event of a release without a rollout. */
  one(
    release: string,
    state: RolloutState | undefined,
    draft: EventDraft,
    evidence: readonly CheckResult[],
    offset = 0,
  ): RolloutEvent {
    return {
      id: (this.#events.at(-1)?.id ?? 0) + 1 + offset,
      atMs: this.#parts.nowMs(),
      release,
      rollout: state?.id ?? null,
      phase: state?.phase ?? null,
      step: state === undefined ? null : state.step + 1,
      weight: state?.weight ?? null,
      ...draft,
      evidence,
    };
  }

  /** One event for each check that fails without stopping the rollout, such as a drift that only warns. Once. */
  ofWarnings({ state, judge }: Running): readonly RolloutEvent[] {
    if (isOver(state)) return [];
    const told = (name: string) =>
      this.#events.some(({ type, release, rollout, evidence }) => {
        return type === "check" && release === state.release && rollout === state.id && evidence[0]?.name === name;
      });
    const failing = judge.checks().filter(({ name, verdict }) => verdict === "fail" && !told(name));
    return failing.map((check, at) => {
      const draft = { type: "check", by: "perch", why: `check ${check.name} fails: ${check.why}` } as const;
      return this.one(state.release, state, draft, [check], at);
    });
  }

  /** What `all` is once these are published. */
  with(events: readonly RolloutEvent[]): readonly RolloutEvent[] {
    return [...this.#events, ...events].slice(-maxEvents);
  }

  /** `specOf`: finds the specs of rollouts that the events mention but that no longer run. */
  publish(events: readonly RolloutEvent[], specOf: EventJournalParts["specOf"] = this.#parts.specOf): void {
    this.#events = this.with(events);
    for (const event of events) {
      for (const listener of this.#listeners) listener(event);
      this.#log(event);
      const spec = specOf(event.release);
      if (spec !== undefined) this.#parts.notify(spec, event);
    }
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

  /** One line for people: `why` is the sentence, the rest is for filters. */
  #log({ release, rollout, type, phase, step, weight, by, why }: RolloutEvent): void {
    this.#parts.log[eventLevels[type] ?? "info"]({ release, rollout, event: type, phase, step, weight, by }, why);
  }
}

/** Events that need attention; others are `info`. */
export const eventLevels: Partial<Readonly<Record<RolloutEvent["type"], "info" | "warn">>> = {
  holding: "warn",
  paused: "warn",
  aborted: "warn",
  check: "warn",
  "plan-edited": "warn",
  "rolled-back": "warn",
};

interface RollbackCount {
  readonly release: string;
  readonly reason: string;
  readonly count: number;
}

/** Rollbacks since the process started, by release and reason. */
export class RollbackCounts {
  readonly #counts = new Map<string, RollbackCount>();

  add(release: string, reason: string, count = 1): void {
    const key = `${release} ${reason}`;
    this.#counts.set(key, { release, reason, count: (this.#counts.get(key)?.count ?? 0) + count });
  }

  all(): readonly RollbackCount[] {
    return [...this.#counts.values()];
  }
}
