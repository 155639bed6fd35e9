import fc from "fast-check";
import { expect, test } from "vitest";
import { parseEvents, type ServerEvent } from "../../../src/cli/rollout/server-events.ts";

async function parsed(chunks: readonly Uint8Array[]): Promise<ServerEvent[]> {
  async function* arriving() {
    yield* chunks;
  }
  const events: ServerEvent[] = [];
  for await (const event of parseEvents(arriving())) events.push(event);
  return events;
}

const text =
  "retry: 2000\r\nid: 3\r\n\r\n: a comment\n\nid: 4\nevent: step\ndata: {\ndata:  错}\n\ndata\r\rid\nevent:x\ndata: 1\r\n\r\nid: 9\ndata: unfinished\n";
const wanted: ServerEvent[] = [
  { id: "3", type: "message", data: undefined },
  { id: "3", type: "message", data: undefined },
  { id: "4", type: "step", data: "{\n 错}" },
  { id: "4", type: "message", data: "" },
  { id: "", type: "x", data: "1" },
];

test("reads events, wherever the bytes are parted", async () => {
  const bytes = Buffer.from(text);
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(bytes.length), { maxLength: 12 }), async (cuts) => {
      const edges = [0, ...cuts.sort((left, right) => left - right), bytes.length];
      const chunks = edges.slice(1).map((end, at) => bytes.subarray(edges[at], end));
      expect(await parsed(chunks)).toEqual(wanted);
    }),
    { seed: 5, numRuns: 200 },
  );
});

test.each([
  ["one line without end", Array.from({ length: 6 }, () => "x".repeat(1_000_000))],
  ["data lines without end", Array.from({ length: 6 }, () => "data:\n".repeat(1_000))],
])("refuses %s", async (_about, chunks) => {
  await expect(parsed(chunks.map((chunk) => Buffer.from(chunk)))).rejects.toThrow("too long");
});
