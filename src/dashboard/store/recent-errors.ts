import { signal } from "@preact/signals";
import type { Point, SeriesBody, TickBody } from "../../admin/live/live-bodies.ts";

const slotMs = 10_000;
const slots = 30;

interface Slot {
  readonly number: number;
  requests: number;
  failed: number;
}

/** The share of failed requests of each version over the last five minutes, in slots of 10 s: for sparklines. */
export class RecentErrors {
  /** Moves with every change. */
  readonly changes = signal(0);
  readonly #slots = new Map<string, Slot[]>();

  add({ atMs, releases }: TickBody): void {
    for (const [release, { versions }] of Object.entries(releases)) {
      for (const [version, { point }] of Object.entries(versions)) this.#count(release, version, atMs, point);
    }
    this.changes.value++;
  }

  /** What the server kept from before the page was opened. */
  fill(release: string, { newestMs, versions }: SeriesBody): void {
    for (const [version, points] of Object.entries(versions)) {
      this.#slots.delete(keyOf(release, version));
      const firstMs = newestMs - (points.length - 1) * slotMs;
      for (const [index, point] of points.entries()) this.#count(release, version, firstMs + index * slotMs, point);
    }
    this.changes.value++;
  }

  /** The oldest first; null where there was no request. */
  shares(release: string, version: string, nowMs: number): readonly (number | null)[] {
    const newest = Math.floor(nowMs / slotMs);
    const known = new Map(this.#slots.get(keyOf(release, version))?.map((slot) => [slot.number, slot]));
    return Array.from({ length: slots }, (_, index) => {
      const slot = known.get(newest - slots + 1 + index);
      return slot === undefined || slot.requests === 0 ? null : slot.failed / slot.requests;
    });
  }

  clear(): void {
    this.#slots.clear();
    this.changes.value++;
  }

  #count(release: string, version: string, atMs: number, point: Point | null): void {
    if (point === null) return;
    const number = Math.floor(atMs / slotMs);
    const key = keyOf(release, version);
    const known = this.#slots.get(key) ?? [];
    this.#slots.set(key, known);
    let slot = known.at(-1);
    if (slot?.number !== number) {
      slot = { number, requests: 0, failed: 0 };
      known.push(slot);
      if (known.length > slots) known.shift();
    }
    slot.requests += point[0];
    slot.failed += point[1];
  }
}

function keyOf(release: string, version: string): string {
  return `${release}\n${version}`;
}
