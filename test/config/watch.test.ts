import { execFile } from "node:child_process";
import { EventEmitter, once } from "node:events";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileWatcher, type FileWatcherOptions, type WatchDirectory } from "../../src/config/watch.ts";
import { ConfigMapVolume } from "../kit/configmap-volume.ts";

const anHourMs = 3_600_000;
let directory: string;
let watchers: FileWatcher[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "perch-watch-"));
  watchers = [];
});

afterEach(() => {
  for (const watcher of watchers) watcher.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Watching {
  readonly watcher: FileWatcher;
  readonly warnings: readonly string[];
  changes(): number;
  /** Resolves when a change is reported after `action`; rejects if there is none within five seconds. */
  changeAfter(action: () => void): Promise<void>;
}

/** Watches by events only, unless `options` set `pollMs`: polling would hide a watch without events. */
function watching(files: readonly string[], options: Partial<FileWatcherOptions> = {}): Watching {
  const events = new EventEmitter();
  const warnings: string[] = [];
  let changes = 0;
  const watcher = new FileWatcher({
    files,
    pollMs: anHourMs,
    debounceMs: 50,
    onChange: () => {
      changes += 1;
      events.emit("change");
    },
    onWarning: (message) => warnings.push(message),
    ...options,
  });
  watchers.push(watcher);
  return {
    watcher,
    warnings,
    changes: () => changes,
    async changeAfter(action) {
      const change = once(events, "change", { signal: AbortSignal.timeout(5_000) });
      action();
      await change;
    },
  };
}

function fileWith(contents: string, name = "perch.yaml"): string {
  const file = join(directory, name);
  writeFileSync(file, contents);
  return file;
}

/** A system that cannot watch, as with exhausted inotify limits or on some network file systems. */
function refusing(code: string): WatchDirectory {
  return () => {
    throw Object.assign(new Error(`${code}: no watch to give`), { code });
  };
}

describe("events", () => {
  const writes: { sentence: string; write: (file: string) => void }[] = [
    { sentence: "a plain write", write: (file) => writeFileSync(file, "new") },
    { sentence: "an append", write: (file) => appendFileSync(file, "new") },
    {
      sentence: "an editor that renames its copy over the file",
      write: (file) => {
        writeFileSync(`${file}.swp`, "new");
        renameSync(`${file}.swp`, file);
      },
    },
    {
      sentence: "an editor that truncates and then writes",
      write: (file) => {
        truncateSync(file);
        writeFileSync(file, "new");
      },
    },
    { sentence: "a write that keeps the length", write: (file) => writeFileSync(file, "xyz") },
    { sentence: "a removal", write: (file) => rmSync(file) },
  ];
  test.each(writes)("$sentence is reported once", async ({ write }) => {
    const file = fileWith("old");
    const seen = watching([file]);
    await seen.changeAfter(() => write(file));
    seen.watcher.check();
    expect(seen.changes()).toBe(1);
  });

  test("the kubelet's swap of ..data is reported every time, not only the first", async () => {
    const volume = new ConfigMapVolume(join(directory, "volume"), { "perch.yaml": "0" });
    const seen = watching([volume.path("perch.yaml")]);
    for (let swap = 1; swap <= 10; swap += 1) {
      await seen.changeAfter(() => volume.update({ "perch.yaml": String(swap) }));
      expect(readFileSync(volume.path("perch.yaml"), "utf8")).toBe(String(swap));
      expect(seen.changes()).toBe(swap);
    }
  });

  test("a swap is reported every time for a file in a folder of the volume, where certificates are mounted", async () => {
    const certificate = (text: string) => ({ "shop-shop-tls/tls.crt": text });
    const volume = new ConfigMapVolume(join(directory, "tls"), certificate("0"));
    const seen = watching([volume.path("shop-shop-tls/tls.crt")]);
    for (let swap = 1; swap <= 3; swap += 1) {
      await seen.changeAfter(() => volume.update(certificate(String(swap))));
      expect(readFileSync(volume.path("shop-shop-tls/tls.crt"), "utf8")).toBe(String(swap));
    }
  });

  test("a swap with the same contents is not a change", async () => {
    const volume = new ConfigMapVolume(join(directory, "volume"), { "perch.yaml": "a", "list.txt": "b" });
    const seen = watching([volume.path("perch.yaml")]);
    volume.update({ "perch.yaml": "a", "list.txt": "other" });
    seen.watcher.check();
    expect(seen.changes()).toBe(0);
    await seen.changeAfter(() => volume.update({ "perch.yaml": "c", "list.txt": "other" }));
  });

  test("a rename over the file is reported every time", async () => {
    const file = fileWith("0");
    const seen = watching([file]);
    for (let round = 1; round <= 5; round += 1) {
      await seen.changeAfter(() => renameSync(fileWith(String(round), "copy"), file));
    }
  });

  test("a file that is removed and created again is reported twice", async () => {
    const file = fileWith("same");
    const seen = watching([file]);
    await seen.changeAfter(() => rmSync(file));
    await seen.changeAfter(() => writeFileSync(file, "same"));
    expect(seen.changes()).toBe(2);
  });

  test("a file in a directory that does not exist yet is reported when both appear", async () => {
    const file = join(directory, "later", "deeper", "perch.yaml");
    const seen = watching([file]);
    await seen.changeAfter(() => {
      mkdirSync(join(directory, "later", "deeper"), { recursive: true });
      writeFileSync(file, "here");
    });
  });

  test("a directory that is removed and created again is watched again", async () => {
    const home = join(directory, "home");
    mkdirSync(home);
    const file = fileWith("0", "home/perch.yaml");
    const seen = watching([file]);
    await seen.changeAfter(() => rmSync(home, { recursive: true }));
    await seen.changeAfter(() => {
      mkdirSync(home);
      writeFileSync(file, "1");
    });
    await seen.changeAfter(() => writeFileSync(file, "2"));
  });

  test("a directory that another one is moved to is noticed and watched", async () => {
    const home = join(directory, "home");
    mkdirSync(home);
    mkdirSync(join(directory, "fresh"));
    const file = fileWith("0", "home/perch.yaml");
    fileWith("1", "fresh/perch.yaml");
    const seen = watching([file]);
    await seen.changeAfter(() => {
      renameSync(home, join(directory, "old"));
      renameSync(join(directory, "fresh"), home);
    });
    await seen.changeAfter(() => writeFileSync(file, "2"));
  });

  test("a file behind a relative and an absolute link is reported wherever the change happens", async () => {
    mkdirSync(join(directory, "a"));
    mkdirSync(join(directory, "b"));
    const real = fileWith("0", "b/real.yaml");
    symlinkSync(join(directory, "b"), join(directory, "a", "absolute"));
    symlinkSync("../a/./absolute/real.yaml", join(directory, "a", "perch.yaml"));
    const seen = watching([join(directory, "a", "perch.yaml")]);
    await seen.changeAfter(() => writeFileSync(real, "1"));
    const other = fileWith("2", "other.yaml");
    await seen.changeAfter(() => {
      rmSync(join(directory, "a", "perch.yaml"));
      symlinkSync(other, join(directory, "a", "perch.yaml"));
    });
    await seen.changeAfter(() => writeFileSync(other, "3"));
  });

  test("circular links are a missing file until they are fixed", async () => {
    symlinkSync("two", join(directory, "one"));
    symlinkSync("one", join(directory, "two"));
    const seen = watching([join(directory, "one")]);
    await seen.changeAfter(() => {
      rmSync(join(directory, "two"));
      fileWith("here", "two");
    });
  });

  test("a log that grows beside the file does not delay the check", async () => {
    const file = fileWith("old");
    const seen = watching([file], { debounceMs: 60 });
    const chatter = setInterval(() => appendFileSync(join(directory, "access.log"), "line\n"), 5);
    try {
      await seen.changeAfter(() => writeFileSync(file, "new"));
    } finally {
      clearInterval(chatter);
    }
  });
});

describe("check", () => {
  test("reports a change before it returns, and only once", () => {
    const file = fileWith("old");
    const seen = watching([file], { watchDirectory: refusing("ENOSYS") });
    seen.watcher.check();
    expect(seen.changes()).toBe(0);
    writeFileSync(file, "new");
    seen.watcher.check();
    seen.watcher.check();
    expect(seen.changes()).toBe(1);
  });

  test("new times with the same contents are not a change", () => {
    const file = fileWith("same");
    const seen = watching([file]);
    utimesSync(file, 1, 1);
    seen.watcher.check();
    writeFileSync(file, "same");
    seen.watcher.check();
    expect(seen.changes()).toBe(0);
  });

  test("two files that change together are one change", () => {
    const files = [fileWith("a", "a"), fileWith("b", "b")];
    const seen = watching(files);
    for (const file of files) writeFileSync(file, "new");
    seen.watcher.check();
    expect(seen.changes()).toBe(1);
  });

  test("what is not a regular file is never read", () => {
    const seen = watching(["/dev/zero", directory]);
    seen.watcher.check();
    expect(seen.changes()).toBe(0);
  });
});

describe("setFiles", () => {
  test("an added file is not a change, and is watched from then on", async () => {
    const file = fileWith("a");
    const seen = watching([file]);
    const list = fileWith("1", "list.txt");
    seen.watcher.setFiles([file, list]);
    seen.watcher.check();
    expect(seen.changes()).toBe(0);
    await seen.changeAfter(() => writeFileSync(list, "2"));
  });

  test("a removed file is no longer watched", () => {
    const file = fileWith("a");
    const list = fileWith("1", "list.txt");
    const seen = watching([file, list]);
    seen.watcher.setFiles([file]);
    writeFileSync(list, "2");
    seen.watcher.check();
    expect(seen.changes()).toBe(0);
  });

  test("a change of a kept file is not lost", () => {
    const file = fileWith("a");
    const seen = watching([file]);
    writeFileSync(file, "b");
    seen.watcher.setFiles([file]);
    seen.watcher.check();
    expect(seen.changes()).toBe(1);
  });

  test("a change between the consumer's read and setFiles is reported", () => {
    const list = fileWith("1", "list.txt");
    const seen = watching([]);
    const read = readFileSync(list);
    writeFileSync(list, "2");
    seen.watcher.setFiles([list], new Map([[list, read]]));
    seen.watcher.check();
    expect(seen.changes()).toBe(1);
  });

  test("the contents that the consumer read are not a change", () => {
    const list = fileWith("1", "list.txt");
    const seen = watching([]);
    seen.watcher.setFiles([list], new Map([[list, readFileSync(list)]]));
    seen.watcher.check();
    expect(seen.changes()).toBe(0);
  });

  test("may be called from onChange", () => {
    const file = fileWith("a");
    const list = fileWith("1", "list.txt");
    let changes = 0;
    const { watcher } = watching([file], {
      onChange: () => {
        changes += 1;
        watcher.setFiles([file, list]);
      },
    });
    writeFileSync(file, "b");
    watcher.check();
    watcher.check();
    writeFileSync(list, "2");
    watcher.check();
    expect(changes).toBe(2);
  });
});

describe("polling", () => {
  test("finds every change if no directory can be watched, and warns once", async () => {
    const file = fileWith("0");
    const seen = watching([file], { pollMs: 10, watchDirectory: refusing("ENOSPC") });
    for (let round = 1; round <= 5; round += 1) await seen.changeAfter(() => writeFileSync(file, String(round)));
    expect(seen.warnings).toEqual([
      `cannot watch ${directory} for changes (ENOSPC: no watch to give); falling back to polling`,
    ]);
  });

  test("finds the kubelet's swaps too", async () => {
    const volume = new ConfigMapVolume(join(directory, "volume"), { "perch.yaml": "0" });
    const seen = watching([volume.path("perch.yaml")], { pollMs: 10, watchDirectory: refusing("EMFILE") });
    for (let swap = 1; swap <= 5; swap += 1) {
      await seen.changeAfter(() => volume.update({ "perch.yaml": String(swap) }));
    }
  });

  test("a lack of descriptors is not a change, and the next change is found", async () => {
    const script = fileURLToPath(new URL("watch-without-descriptors.ts", import.meta.url));
    const command = 'ulimit -n 64 && exec "$0" "$@"';
    const args = ["-c", command, process.execPath, script, fileWith("0")];
    const { stdout } = await promisify(execFile)("/bin/sh", args, { timeout: 10_000 });
    expect(JSON.parse(stdout)).toEqual([
      "EMFILE",
      expect.stringMatching(/^cannot watch DIR for changes \(EMFILE: too many open files.*falling back to polling$/),
      "freed",
      "written",
      "change",
    ]);
  });

  test("a watch that fails later gives one warning; polling continues and the watch is retried", async () => {
    const file = fileWith("0");
    const opened: EventEmitter[] = [];
    const seen = watching([file], {
      pollMs: 10,
      watchDirectory: () => {
        const watch = Object.assign(new EventEmitter(), { close: () => {} });
        opened.push(watch);
        return watch;
      },
    });
    opened[0]?.emit("error", new Error("EPERM: gone"));
    opened[0]?.emit("error", new Error("EPERM: gone"));
    await seen.changeAfter(() => writeFileSync(file, "1"));
    expect(seen.warnings).toHaveLength(1);
    expect(opened).toHaveLength(2);
  });
});

describe("close", () => {
  test("leaves no timer and no watch, even with a pending event", async () => {
    const script = fileURLToPath(new URL("held-by-a-watcher.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [script, fileWith("0")], { timeout: 10_000 });
    expect(JSON.parse(stdout)).toEqual({
      before: [],
      during: ["FSEventWrap", "Timeout", "Timeout", "Timeout"],
      after: [],
    });
  });

  async function openWatches(): Promise<number> {
    // The event loop releases closed handles a turn later.
    await nextTurn();
    await nextTurn();
    return process.getActiveResourcesInfo().filter((kind) => kind.startsWith("FSEvent")).length;
  }

  test("a hundred swaps leave one watch per directory", async () => {
    const volume = new ConfigMapVolume(join(directory, "volume"), { "perch.yaml": "0" });
    const before = await openWatches();
    const seen = watching([volume.path("perch.yaml")]);
    for (let swap = 1; swap <= 100; swap += 1) {
      volume.update({ "perch.yaml": String(swap) });
      seen.watcher.check();
    }
    expect(await openWatches()).toBe(before + 2);
    expect(seen.changes()).toBe(100);
    seen.watcher.close();
    expect(await openWatches()).toBe(before);
  });

  test("nothing is reported afterwards", () => {
    const file = fileWith("0");
    const seen = watching([file]);
    seen.watcher.close();
    writeFileSync(file, "1");
    seen.watcher.check();
    seen.watcher.setFiles([file]);
    expect(seen.changes()).toBe(0);
  });
});
