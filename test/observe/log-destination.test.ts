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

  test("counts what is written after its close, and closes twice", async () => {
    const { destination, dropped, written } = open();
    destination.write("in time\n");
    await destination.close();
    await destination.close();
    destination.write("late\n");
    await destination.flush();
    expect(written()).toBe("in time\n");
    expect(dropped.value).toBe(1);
  });

  test("survives a file that cannot be opened", async () => {
    const { destination, troubles, dropped } = open({ to: join(directory, "missing", "out.log") });
    destination.write("nowhere\n");
    await destination.flush();
    destination.write("nor here\n");
    await destination.close();
    expect(troubles).toEqual([expect.stringContaining("ENOENT")]);
    expect(dropped.value).toBe(2);
  });
});

describe.skipIf(!existsSync("/dev/full"))("a full disk (skipped where there is no /dev/full)", () => {
  test("is told once, and every line counts from the first on", async () => {
    const { destination, troubles, dropped } = open({ to: "/dev/full" });
    for (let round = 1; round <= 3; round++) {
      destination.write("lost\nlost\n", 2);
      await destination.flush();
      expect(dropped.value).toBe(2 * round);
    }
    expect(troubles).toEqual([expect.stringContaining("ENOSPC")]);
    await destination.close();
    expect(dropped.value).toBe(6);
  });

  test("loses the lines of the trouble alone, and the next trouble is told again", async () => {
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
    expect(written()).toBe("second\n");
    expect([troubles.length, dropped.value]).toEqual([1, 1]);
    reopen("/dev/full");
    destination.write("third\n");
    await destination.flush();
    expect([troubles.length, dropped.value]).toEqual([2, 2]);
    await destination.close();
    expect(dropped.value).toBe(2);
  });

  test("counts every line of many batches", async () => {
    const { destination, dropped } = open({ to: "/dev/full" });
    const line = `${"x".repeat(1023)}\n`;
    const lines = 6 * 1024;
    for (let index = 0; index < lines; index++) destination.write(line);
    await destination.flush();
    expect(dropped.value).toBe(lines);
    await destination.close();
  });
});

/** A program that writes lines to its stdout, a pipe; what it says on stderr is its result. */
function writer(body: string) {
  const module = new URL("../../src/observe/log-destination.ts", import.meta.url);
  const program = `
    import { LogDestination } from ${JSON.stringify(module.href)};
    // Makes the pipe non-blocking, as the command line does.
    process.stdout.on("error", () => {});
    const dropped = { value: 0 };
    const troubled = Promise.withResolvers();
    const destination = new LogDestination({ to: 1, dropped, onTrouble: (error) => troubled.resolve(error) });
    ${body}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ended = once(child, "close").then(([exitCode]) => ({ exitCode, said }));
  return { child, ended };
}

describe("a reader that does not read", () => {
  test("costs a bounded backlog; the lines beyond it count, and neither they nor the end of the process wait", async () => {
    const { child, ended } = writer(`
      const line = "x".repeat(1023) + "\\n";
      for (let index = 0; index < 6144; index++) destination.write(line);
      const early = dropped.value;
      await destination.close(50);
      console.error(JSON.stringify({ early, all: dropped.value }));
    `);
    child.stdout.pause();
    // The pipe is read only once the process has said its result, which it does without a reader.
    await once(child.stderr, "data");
    child.stdout.resume();
    const { exitCode, said } = await ended;
    const { early, all } = JSON.parse(said);
    expect(exitCode).toBe(0);
    // 4 MiB wait; what is in the pipe, and in this process, was written.
    expect(early).toBe(2 * 1024);
    expect(all).toBeGreaterThan(5 * 1024);
    expect(all).toBeLessThan(6 * 1024);
  });
});

describe("a reader that went away", () => {
  test("costs the log and nothing else, and every line counts from the first that is lost", async () => {
    const { child, ended } = writer(`
      process.on("SIGUSR2", async () => {
        for (let index = 0; index < 10; index++) destination.write("lost\\n");
        await destination.flush();
        const first = dropped.value;
        for (let index = 0; index < 10; index++) destination.write("lost\\n");
        await destination.flush();
        await destination.close();
        const { code } = await troubled.promise;
        console.error(JSON.stringify({ code, first, all: dropped.value }));
        process.exit();
      });
      setInterval(() => {}, 1000);
      destination.write("read\\n");
      await destination.flush();
    `);
    await once(child.stdout, "data");
    child.stdout.destroy();
    await once(child.stdout, "close");
    child.kill("SIGUSR2");
    expect(await ended).toEqual({ exitCode: 0, said: '{"code":"EPIPE","first":10,"all":20}\n' });
  });
});
