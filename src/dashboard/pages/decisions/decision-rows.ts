import { batch, computed, signal } from "@preact/signals";
import type { DecisionBatch, DecisionLine } from "../../../observe/live/decision-tail.ts";

export interface DecisionRow extends DecisionLine {
  /** Rises by one; names the row. */
  readonly id: number;
}

const maxRows = 200;

/** The decisions that were sampled last, and counts of all that came. While it is paused the rows stay as they are. */
export class DecisionRows {
  readonly #newest = signal<readonly DecisionRow[]>([]);
  readonly #frozen = signal<readonly DecisionRow[] | undefined>(undefined);
  readonly sampled = signal(0);
  readonly skipped = signal(0);
  /** Newest first. */
  readonly shown = computed(() => this.#frozen.value ?? this.#newest.value);
  readonly isPaused = computed(() => this.#frozen.value !== undefined);
  /** How many came since the pause. */
  readonly waiting = computed(() => {
    const frozen = this.#frozen.value;
    return frozen === undefined ? 0 : this.sampled.value - (frozen[0]?.id ?? this.#sampledBefore);
  });
  #sampledBefore = 0;

  add({ lines, skipped }: DecisionBatch): void {
    batch(() => {
      const first = this.sampled.value + 1;
      const rows = lines.map((line, index): DecisionRow => ({ ...line, id: first + index }));
      this.sampled.value += lines.length;
      this.skipped.value += skipped;
      this.#newest.value = [...rows.reverse(), ...this.#newest.value].slice(0, maxRows);
    });
  }

  pause(isPaused: boolean): void {
    this.#sampledBefore = this.sampled.value;
    this.#frozen.value = isPaused ? this.#newest.value : undefined;
  }

  /** For another filter: drops the rows of the previous one. */
  clear(): void {
    batch(() => {
      this.#newest.value = [];
      this.#frozen.value = undefined;
      this.sampled.value = 0;
      this.skipped.value = 0;
    });
  }
}

export interface DecisionFilter {
  readonly release: string;
  readonly version: string;
  readonly reason: string;
  readonly rule: string;
  /** `5xx`. */
  readonly status: string;
}

export const noFilter: DecisionFilter = { release: "", version: "", reason: "", rule: "", status: "" };

/** The stream of what passes the filter; an empty part of it lets everything pass. */
export function decisionsPath(filter: DecisionFilter): string {
  const search = new URLSearchParams(Object.entries(filter).filter(([, value]) => value !== ""));
  return search.size === 0 ? "/api/decisions" : `/api/decisions?${search}`;
}
