import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { openLog, type ReadingEnd, readLines } from "../../../src/cli/judge/log-lines.ts";

async function read(
  source: Readable,
  limit = Number.POSITIVE_INFINITY,
): Promise<{ readonly lines: readonly string[]; readonly end: ReadingEnd }> {
  const lines: string[] = [];
  const end = await readLines(source, (line) => lines.push(line) < limit);
  return { lines, end };
}

/** Chunks of `size` bytes. */
function chunks(content: Buffer, size: number): Readable {
  const parts: Buffer[] = [];
  for (let at = 0; at < content.length; at += size) parts.push(content.subarray(at, at + size));
  return Readable.from(parts, { objectMode: false });
}

const text = "first\n\nsecond é 漢\r\nlast";
const wanted = ["first", "", "second é 漢\r", "last"];

describe("readLines", () => {
  it.each([1, 2, 3, 7, 1_000])("gives every line, in chunks of %i bytes, plain and packed", async (size) => {
    const plain = await read(chunks(Buffer.from(text), size));
    expect(plain).toEqual({ lines: wanted, end: { kind: "end" } });
    expect(await read(chunks(gzipSync(text), size))).toEqual(plain);
  });

  it("gives no line for a final newline, nor for nothing", async () => {
    expect((await read(chunks(Buffer.from("a\n"), 10))).lines).toEqual(["a"]);
    expect(await read(Readable.from([], { objectMode: false }))).toEqual({ lines: [], end: { kind: "end" } });
    expect((await read(chunks(Buffer.from("a"), 10))).lines).toEqual(["a"]);
  });

  it("reads what was packed in several members", async () => {
    const packed = Buffer.concat(["a\nb", "c\n", "d"].map((part) => gzipSync(part)));
    expect((await read(chunks(packed, 5))).lines).toEqual(["a", "bc", "d"]);
  });

  it("stops when told so, and closes the source", async () => {
    const source = chunks(Buffer.from("a\nb\nc\nd"), 3);
    expect(await read(source, 2)).toEqual({ lines: ["a", "b"], end: { kind: "stopped" } });
    expect(source.destroyed).toBe(true);
  });

  it("gives all lines before a cut in a packed log", async () => {
    const all = Array.from({ length: 50_000 }, (_, at) => `line ${at} ${Math.sin(at)}`);
    const packed = gzipSync(all.join("\n"));
    const { lines, end } = await read(chunks(packed.subarray(0, packed.length * 0.9), 65_536));
    expect(end).toEqual({ kind: "cut", why: "unexpected end of file", isGzip: true });
    expect(lines.length).toBeGreaterThan(40_000);
    expect(lines.slice(0, -1)).toEqual(all.slice(0, lines.length - 1));
  });

  it("gives nearly all lines before damage in a packed log", async () => {
    const all = Array.from({ length: 50_000 }, (_, at) => `line ${at}`);
    const damaged = Buffer.concat([gzipSync(all.join("\n")), gzipSync("c\n").subarray(0, 10), Buffer.from("nonsense")]);
    const { lines, end } = await read(chunks(damaged, 10_000));
    expect(end).toMatchObject({ kind: "cut", isGzip: true });
    expect(lines.length).toBeGreaterThan(40_000);
    expect(lines.slice(0, -1)).toEqual(all.slice(0, lines.length - 1));
  });

  it("gives all lines before its source fails", async () => {
    const failing = Readable.from(
      (async function* () {
        yield Buffer.from("a\nb\n");
        throw new Error("the disk is gone");
      })(),
      { objectMode: false },
    );
    const cut = { kind: "cut", why: "the disk is gone", isGzip: false };
    expect(await read(failing)).toEqual({ lines: ["a", "b"], end: cut });
  });

  it("rejects where nothing can be read", async () => {
    await expect(read(openLog("/none.log"))).rejects.toThrow("ENOENT");
  });

  it("gives the beginning of a line that is too long, and goes on behind it", async () => {
    const long = "x".repeat(5_000_000);
    const { lines } = await read(chunks(Buffer.from(`a\n${long}\nb\n${long}`), 100_000));
    expect(lines.map((line) => line[0])).toEqual(["a", "x", "b", "x"]);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(1_200_000);
  });
});
