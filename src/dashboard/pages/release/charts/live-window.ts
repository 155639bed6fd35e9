import { effect, type ReadonlySignal, signal } from "@preact/signals";
import type { HistoryBody } from "../../../../admin/live/live-bodies.ts";
import { ask } from "../../../store/api.ts";
import { connection, server, tick } from "../../../store/live.ts";
import { appended, type ChartSlots, type Sides, slotsOf, withoutNewest } from "./chart-slots.ts";

export type ChartSpan = "minutes" | "hour";

const hourAgainMs = 10_000;

/**
 * What the charts show, kept up: five minutes by the ticks, the hour by asking again. After a lost connection, and when
 * another process answers, all of it is asked for anew.
 */
export class LiveWindow {
  readonly #slots = signal<ChartSlots | undefined>(undefined);
  readonly #problem = signal<string | undefined>(undefined);
  readonly #release: string;
  readonly #sides: Sides;
  readonly #span: ChartSpan;
  #asking: AbortController | undefined;

  constructor(release: string, sides: Sides, span: ChartSpan) {
    this.#release = release;
    this.#sides = sides;
    this.#span = span;
  }

  get slots(): ReadonlySignal<ChartSlots | undefined> {
    return this.#slots;
  }

  get problem(): ReadonlySignal<string | undefined> {
    return this.#problem;
  }

  /** The function returned ends it. */
  follow(): () => void {
    const stops = [
      effect(() => {
        // Set anew by each connection.
        if (server.value !== undefined) void this.#load();
      }),
      this.#span === "minutes" ? effect(() => this.#append()) : this.#askAgain(),
    ];
    return () => {
      for (const stop of stops) stop();
      this.#asking?.abort();
    };
  }

  #askAgain(): () => void {
    const timer = setInterval(() => {
      if (connection.peek().kind === "open") void this.#load();
    }, hourAgainMs);
    return () => clearInterval(timer);
  }

  #append(): void {
    const body = tick.value;
    const slots = this.#slots.peek();
    if (body === undefined) return;
    if (slots === undefined) {
      // It failed, such as with too many requests at once; otherwise it is on its way.
      if (this.#problem.peek() !== undefined) void this.#load();
      return;
    }
    const next = appended(slots, body, this.#release, this.#sides);
    if (next === undefined) void this.#load();
    else this.#slots.value = next;
  }

  async #load(): Promise<void> {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    const path = `/api/history/${encodeURIComponent(this.#release)}`;
    const answer = await ask<HistoryBody>(path, { signal: asking.signal });
    if (asking.signal.aborted) return;
    this.#problem.value = answer.ok ? undefined : answer.problem.detail;
    if (!answer.ok) return;
    const { seconds, tens } = answer.body;
    this.#slots.value = slotsOf(this.#span === "minutes" ? seconds : withoutNewest(tens), this.#sides);
  }
}
