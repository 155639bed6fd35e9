import { describe, expect, it } from "vitest";
import { MinorGc } from "../../src/app/minor-gc.ts";

const mebibyte = 1024 * 1024;

describe("dead buffers are collected", () => {
  it.each([
    { sentence: "not for less than 16 MiB", pieces: [mebibyte, 15 * mebibyte - 1], collections: 0 },
    { sentence: "at 16 MiB, in however many pieces", pieces: Array<number>(256).fill(65_536), collections: 1 },
    { sentence: "once for each 16 MiB", pieces: Array<number>(48).fill(mebibyte), collections: 3 },
    { sentence: "once for one enormous piece", pieces: [100 * mebibyte, mebibyte], collections: 1 },
  ])("$sentence", ({ pieces, collections }) => {
    let collected = 0;
    const buffers = new MinorGc(() => collected++);
    for (const piece of pieces) buffers.streamed(piece);
    expect(collected).toBe(collections);
  });

  it("by V8 itself, which frees what nobody holds", async () => {
    const buffers = new MinorGc();
    const before = process.memoryUsage().arrayBuffers;
    // Few enough that V8 sees no reason of its own.
    for (let i = 0; i < 128; i++) Buffer.alloc(65_536).fill(1);
    const held = () => process.memoryUsage().arrayBuffers - before;
    expect(held()).toBeGreaterThan(7 * mebibyte);
    buffers.streamed(16 * mebibyte);
    // Freed by a thread of its own, a moment later.
    await expect.poll(held).toBeLessThan(mebibyte);
  });
});
