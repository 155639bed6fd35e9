import { expect, it } from "vitest";
import { SlotRing } from "../../../src/observe/live/slot-ring.ts";

/** A ring of four slots, in each of which its own number is written. */
function filled(upTo: number): SlotRing {
  const ring = new SlotRing(4, 1, 0);
  for (let slot = 1; slot <= upTo; slot++) {
    ring.moveTo(slot);
    ring.newest[0] = slot;
  }
  return ring;
}

const numbers = (ring: SlotRing, count?: number) => Array.from(ring.last(count), ([number]) => number);

it.each([
  { sentence: "keeps the newest slots", at: 6, moves: [], wanted: [3, 4, 5, 6] },
  { sentence: "has zero where slots were passed over", at: 6, moves: [9], wanted: [6, 0, 0, 0] },
  { sentence: "has nothing left after a long gap", at: 6, moves: [1_000_003], wanted: [0, 0, 0, 0] },
  {
    sentence: "forgets what is not yet, and what it overwrote, when time is set back",
    at: 6,
    moves: [5],
    wanted: [0, 3, 4, 0],
  },
  { sentence: "has nothing left when time is set back far", at: 6, moves: [-50], wanted: [0, 0, 0, 0] },
  { sentence: "shows nothing of a later time once that comes again", at: 6, moves: [4, 6], wanted: [3, 0, 0, 0] },
])("$sentence", ({ at, moves, wanted }) => {
  const ring = filled(at);
  for (const move of moves) ring.moveTo(move);
  expect(numbers(ring)).toEqual(wanted);
});

it("gives the newest slots only, and no more than it has", () => {
  expect([numbers(filled(6), 2), numbers(filled(6), 9)]).toEqual([
    [5, 6],
    [3, 4, 5, 6],
  ]);
});
