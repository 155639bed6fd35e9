import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LogDestination, type LogDestinationOptions } from "../../src/observe/log-destination.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "perch-log-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const open = (changes: Partial<LogDestinationOptions> = {}) => {
  const troubles: string[] = [];
  const dropped = { value: 0 };
  const to = join(directory, "out.log");
  const options = { to, dropped, onTrouble: ({ message }: Error) => troubles.push(message), ...changes };
  const destination = new LogDestination(options);
  return { destination, troubles, dropped, written: () => readFileSync(to, "utf8") };
};

/** Resolves once the file says what is wanted; the runner's own time limit ends a wait in vain. */
async function fileToHold(path: string, wanted: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = () => {
    if (existsSync(path) && readFileSync(path, "utf8") === wanted) resolve();
  };
  const watcher = watch(directory, look);
  look();
  await promise.finally(() => watcher.close());
}

describe("a log destination", () => {
  test("writes lines in order, once flushed", async () => {
    const { destination, written, troubles } = open();
    for (const line of ["a\n", "b\n", "c\n"]) destination.write(line);
    await destination.flush();
    expect(written()).toBe("a\nb\nc\n");
    destination.write("d\n");
    await destination.close();
    expect(written()).toBe("a\nb\nc\nd\n");
    expect(troubles).toEqual([]);
  });

  test("writes a lone line by itself after a while", async () => {
    const { destination } = open({ flushAfterMs: 5 });
    destination.write("alone\n");
    await fileToHold(join(directory, "out.log"), "alone\n");
    destination.write("again\n");
    await fileToHold(join(directory, "out.log"), "alone\nagain\n");
    await destination.close();
  });

  test("does not wait for the timer when many lines came", async () => {
    const { destination } = open({ flushAfterMs: 3_600_000 });
    const line = `${"x".repeat(99)}\n`;
    for (let index = 0; index < 82; index++) destination.write(line);
    await fileToHold(join(directory, "out.log"), line.repeat(82));
    await destination.close();
  });

  test("leaves no line behind when the process exits at once", async () => {
    const { destination, written } = open();
    await destination.flush();
    destination.write("last words\n");
    destination.flushSync();
    expect(written()).toBe("last words\n");
    await destination.close();
  });

  test("counts what is written after its close, and closes twice", async () => {
    const { destination, dropped, written } = open();
    destination.write("in time\n");
    await destination.close();
    await destination.close();
    destination.write("late\n");
    await destination.flush();
    destination.flushSync();
    expect(written()).toBe("in time\n");
    expect(dropped.value).toBe(1);
  });

  test("survives a file that can not be opened", async () => {
    const { destination, troubles } = open({ to: join(directory, "missing", "out.log") });
    destination.write("nowhere\n");
    await destination.close();
    expect(troubles).toEqual([expect.stringContaining("ENOENT")]);
  });
});

describe.skipIf(!existsSync("/dev/full"))("a full disk (skipped where there is no /dev/full)", () => {
  test("is told once, and ends no process", async () => {
    const { destination, troubles } = open({ to: "/dev/full" });
    for (let round = 0; round < 3; round++) {
      destination.write("lost\n");
      await destination.flush();
    }
    expect(troubles).toEqual([expect.stringContaining("ENOSPC")]);
    await destination.close();
  });

  test("loses nothing of a short trouble, and the next one is told again", async () => {
    const to = openSync("/dev/full", "w");
    const { destination, troubles, dropped, written } = open({ to });
    // Puts another file in the descriptor's place: the lowest free one is given out, which may be some other at first.
    const reopen = (path: string) => {
      closeSync(to);
      const opened = [openSync(path, "a")];
      while (opened.at(-1) !== to && opened.length < 100) opened.push(openSync(path, "a"));
      expect(opened.pop()).toBe(to);
      for (const descriptor of opened) closeSync(descriptor);
    };
    destination.write("first\n");
    await destination.flush();
    reopen(join(directory, "out.log"));
    destination.write("second\n");
    await destination.flush();
    expect(written()).toBe("first\nsecond\n");
    expect([troubles.length, dropped.value]).toEqual([1, 0]);
    reopen("/dev/full");
    destination.write("third\n");
    await destination.flush();
    expect([troubles.length, dropped.value]).toEqual([2, 0]);
    await destination.close();
    expect(dropped.value).toBe(1);
  });

  test("keeps a bounded backlog and counts the lines beyond it", async () => {
    const { destination, dropped } = open({ to: "/dev/full" });
    const line = `${"x".repeat(1023)}\n`;
    const lines = 6 * 1024;
    for (let index = 0; index < lines; index++) destination.write(line);
    await destination.flush();
    expect(dropped.value).toBeGreaterThanOrEqual(2 * 1024 - 16);
    expect(dropped.value).toBeLessThan(2 * 1024 + 16);
    await destination.close();
    expect(dropped.value).toBe(lines);
  });
});

describe("a reader that went away", () => {
  test("costs the log and nothing else", async () => {
    const module = new URL("../../src/observe/log-destination.ts", import.meta.url);
    // Writes until it is told of the broken pipe, then goes on writing, and says how many lines it could not place.
    const program = `
      import { LogDestination } from ${JSON.stringify(module.href)};
      const dropped = { value: 0 };
      const troubled = Promise.withResolvers();
      const destination = new LogDestination({ to: 1, dropped, onTrouble: (error) => troubled.resolve(error) });
      const pump = setInterval(() => { destination.write("line\\n"); destination.flush(); }, 1);
      const { code } = await troubled.promise;
      clearInterval(pump);
      const before = dropped.value;
      for (let index = 0; index < 10; index++) destination.write("line\\n");
      await destination.flush();
      destination.flushSync();
      await destination.close();
      console.error(JSON.stringify({ code, later: dropped.value - before }));
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    await once(child.stdout, "data");
    child.stdout.destroy();
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const [exitCode] = await once(child, "close");
    expect({ exitCode, said }).toEqual({ exitCode: 0, said: '{"code":"EPIPE","later":10}\n' });
  });
});
