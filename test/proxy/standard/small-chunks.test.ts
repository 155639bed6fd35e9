import { expect, it } from "vitest";
import { SmallChunks } from "../../../src/proxy/standard/small-chunks.ts";

function recorded() {
  const sent: Buffer[] = [];
  return { sent, chunks: new SmallChunks((chunk) => sent.push(chunk)) };
}

it("joins the small chunks of a tick, and copies a large one or a single one never", async () => {
  const { sent, chunks } = recorded();
  const large = Buffer.alloc(2_000, "L");
  for (const text of ["a", "b", "c"]) chunks.add(Buffer.from(text));
  chunks.add(large);
  const single = Buffer.from("d");
  chunks.add(single);
  expect(sent.map(String)).toEqual(["abc", String(large)]);
  await Promise.resolve();
  await new Promise(process.nextTick);
  expect(sent.slice(2)).toEqual([single]);
  expect(sent[1]).toBe(large);
  expect(sent[2]).toBe(single);
});

it("sends 16 KiB at once when more arrive in one tick", () => {
  const { sent, chunks } = recorded();
  for (let i = 0; i < 40_000; i++) chunks.add(Buffer.from("x"));
  chunks.flush();
  expect(sent.map(({ length }) => length)).toEqual([16_384, 16_384, 7_232]);
});
