import { signal } from "@preact/signals";
import type { RecentBody, TickBody } from "../../admin/live/live-bodies.ts";

const slotMs = 10_000;
const slots = 30;

/** The first two numbers of a point are these. */
type RecentCounts = readonly [requests: number, failed: number, ...unknown[]];

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
      for (const [version, { point }] of Object.entries(versions)) {
        if (point !== null) this.#count(release, version, atMs, point);
      }
    }
    this.changes.value++;
  }

  /** What the server kept from before the page was opened; all else is forgotten. */
  fill({ newestMs, releases }: RecentBody): void {
    this.#slots.clear();
    for (const [release, versions] of Object.entries(releases)) {
      for (const [version, recent] of Object.entries(versions)) {
        const firstMs = newestMs - (recent.length - 1) * slotMs;
        for (const [index, counts] of recent.entries()) this.#count(release, version, firstMs + index * slotMs, counts);
      }
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

  #count(release: string, version: string, atMs: number, [requests, failed]: RecentCounts): void {
    if (requests === 0) return;
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
    slot.requests += requests;
    slot.failed += failed;
  }
}

function keyOf(release: string, version: string): string {
  return `${release}\n${version}`;
}
