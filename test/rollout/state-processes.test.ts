import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { StateFile } from "../../src/rollout/state/state-file.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { temporaryFolder } from "../kit/served.ts";

const program = fileURLToPath(new URL("state-saver.ts", import.meta.url));

/** A process of its own with the state file, and the lines that it has written. */
function saver(path: string, mode: "save" | "hold") {
  const child = spawn(process.execPath, [program, path, mode], { stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  const lines: string[] = [];
  const reader = createInterface(child.stdout);
  reader.on("line", (line) => lines.push(line));
  const first = Promise.race([once(reader, "line"), closed]).then(() => lines[0]);
  const { promise: saved, resolve } = Promise.withResolvers<void>();
  reader.on("line", (line) => line.startsWith("saved ") && resolve());
  return {
    lines,
    first,
    /** Resolves once it has acknowledged a state. */
    saved,
    pid: child.pid,
    async kill() {
      child.kill("SIGKILL");
      await closed;
    },
  };
}

/** Numbers in [0, 1) that are the same in each run (mulberry32). */
function fractions(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const moments = 200;
const files = 4;
const withinMs = 100;

describe("processes with one state file", { tags: ["slow"] }, () => {
  it("lose no acknowledged state, whenever they are killed", { timeout: 180_000 }, async () => {
    const folder = await temporaryFolder();
    const fraction = fractions(14);
    const lives = async (path: string) => {
      let acknowledged = 0;
      let saved = 0;
      for (let kill = 0; kill < moments / files; kill++) {
        const process = saver(path, "save");
        const [, revision] = /^opened (\d+)$/.exec((await process.first) ?? "") ?? [];
        expect(Number(revision), `${process.lines[0]}`).toBeGreaterThanOrEqual(acknowledged);
        // Half of the kills meet a process that saves for certain, however slow the machine is.
        if (kill % 2 === 1) await process.saved;
        const { promise, resolve } = Promise.withResolvers<void>();
        setTimeout(resolve, fraction() * withinMs);
        await promise;
        await process.kill();
        const acknowledgements = process.lines.slice(1).map((line) => Number(/^saved (\d+)$/.exec(line)?.[1]));
        acknowledged = acknowledgements.at(-1) ?? Number(revision);
        saved += acknowledgements.length;
      }
      return saved;
    };
    const counts = await Promise.all(Array.from({ length: files }, (_, i) => lives(join(folder, `state-${i}.json`))));
    for (const count of counts) expect(count).toBeGreaterThanOrEqual(moments / files / 2);
    const left = (await readdir(folder)).filter((name) => name.includes(".lock."));
    expect(left.length).toBeLessThanOrEqual(files);
  });

  it("are one: the second says in one line who uses it, and may once the first is killed", async () => {
    const path = join(await temporaryFolder(), "state.json");
    const first = saver(path, "hold");
    freeAfterTest(() => first.kill());
    expect(await first.first).toBe("opened 0");
    const problem = `process ${first.pid} uses the state file ${path}: give each process a \`state.file\` of its own`;
    expect(await StateFile.open(path)).toEqual({ kind: "in-use", problem });
    await first.kill();
    const opening = await StateFile.open(path);
    expect(opening.kind).toBe("opened");
    if (opening.kind === "opened") await opening.file.close();
  });

  it("are one, however many start at once", async () => {
    const path = join(await temporaryFolder(), "state.json");
    const all = Array.from({ length: 6 }, () => saver(path, "hold"));
    freeAfterTest(() => Promise.all(all.map((process) => process.kill())));
    const lines = await Promise.all(all.map((process) => process.first));
    expect(lines.filter((line) => line === "opened 0")).toHaveLength(1);
  });
});

it("of many that open it at once in one process, one has the state file", async () => {
  const folder = await temporaryFolder();
  for (let round = 0; round < 20; round++) {
    const path = join(folder, `state-${round}.json`);
    const openings = await Promise.all(Array.from({ length: 5 }, () => StateFile.open(path)));
    const files = openings.flatMap((opening) => (opening.kind === "opened" ? [opening] : []));
    expect(files.map(({ problem }) => problem)).toEqual([undefined]);
    for (const { file } of files) await file.close();
  }
  expect(await readdir(folder)).toEqual([]);
});
