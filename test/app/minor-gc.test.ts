import { describe, expect, it } from "vitest";
import { MinorGc } from "../../src/app/minor-gc.ts";

const mebibyte = 1024 * 1024;

describe("dead buffers are collected", () => {
  it.each([
    { sentence: "not below 16 MiB", chunks: [mebibyte, 15 * mebibyte - 1], collections: 0 },
    { sentence: "at 16 MiB, in any number of chunks", chunks: Array<number>(256).fill(65_536), collections: 1 },
    { sentence: "once per 16 MiB", chunks: Array<number>(48).fill(mebibyte), collections: 3 },
    { sentence: "once for one very large chunk", chunks: [100 * mebibyte, mebibyte], collections: 1 },
  ])("$sentence", ({ chunks, collections }) => {
    let collected = 0;
    const minorGc = new MinorGc(() => collected++);
    for (const chunk of chunks) minorGc.streamed(chunk);
    expect(collected).toBe(collections);
  });

  it("by V8's minor GC by default", async () => {
    const minorGc = new MinorGc();
    const before = process.memoryUsage().arrayBuffers;
    // Too few for V8 to collect by itself.
    for (let i = 0; i < 128; i++) Buffer.alloc(65_536).fill(1);
    const held = () => process.memoryUsage().arrayBuffers - before;
    expect(held()).toBeGreaterThan(7 * mebibyte);
    minorGc.streamed(16 * mebibyte);
    // Another thread frees them a moment later.
    await expect.poll(held, { timeout: 10_000 }).toBeLessThan(mebibyte);
  });
});
