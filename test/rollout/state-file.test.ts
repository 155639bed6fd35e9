import { spawnSync } from "node:child_process";
import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { SavedState } from "../../src/rollout/rollout-state.ts";
import { type FileCalls, nodeFileCalls } from "../../src/rollout/state/replace-file.ts";
import { StateFile, type StateOpening } from "../../src/rollout/state/state-file.ts";
import { MemoryState } from "../../src/rollout/state/state-store.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { temporaryFolder } from "../kit/served.ts";
import { savedState } from "./saved-states.ts";

const revision = (number: number): SavedState => ({ ...savedState, revision: number });

async function opened(path: string, calls?: FileCalls): Promise<Extract<StateOpening, { kind: "opened" }>> {
  const opening = await StateFile.open(path, calls);
  if (opening.kind !== "opened") throw new Error(opening.problem);
  freeAfterTest(() => opening.file.close());
  return opening;
}

/** What another process would read. */
const readRevision = async (path: string) => (JSON.parse(await readFile(path, "utf8")) as SavedState).revision;

describe("a state file", () => {
  it("is made with its folders, and read by the next process", async () => {
    const path = join(await temporaryFolder(), "new", "folder", "state.json");
    const first = await opened(path);
    expect([first.saved, first.problem]).toEqual([undefined, undefined]);
    expect(await first.file.save(savedState)).toEqual({ kind: "saved" });
    await first.file.close();
    expect((await opened(path)).saved).toEqual(savedState);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it("saves in the order of the calls, and leaves nothing else behind", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "state.json");
    const { file } = await opened(path);
    const savings = Array.from({ length: 20 }, (_, i) => file.save(revision(i)));
    await file.close();
    expect(await Promise.all(savings)).toEqual(savings.map(() => ({ kind: "saved" })));
    expect(await readRevision(path)).toBe(19);
    expect(await readdir(folder)).toEqual(["state.json"]);
    expect(await file.save(savedState)).toEqual({ kind: "failed", why: "the state file is closed" });
  });

  it("is synced before it takes the old one's name, and its folder after", async () => {
    const folder = await temporaryFolder();
    const seen: string[] = [];
    const { file } = await opened(
      join(folder, "state.json"),
      watched((call) => void seen.push(call)),
    );
    await file.save(savedState);
    expect(seen).toEqual([
      "open state.json.new",
      "write",
      "sync",
      "close",
      "rename state.json",
      "open folder",
      "sync",
      "close",
    ]);
  });

  const unusable: readonly [sentence: string, content: string, problem: RegExp][] = [
    ["truncated", JSON.stringify(savedState).slice(0, 100), /it is not complete JSON\. Put a copy/],
    ["empty", "", /it is empty\. Put a copy/],
    ["something else's", "listeners: []\n", /it is not complete JSON/],
    ["newer", JSON.stringify({ ...savedState, version: 9 }), /a newer Perch wrote it .*move the file away/],
  ];
  it.each(unusable)("that is %s is left as it is, and nothing is saved", async (_sentence, content, problem) => {
    const path = join(await temporaryFolder(), "state.json");
    await writeFile(path, content);
    const opening = await opened(path);
    expect(opening.saved).toBeUndefined();
    expect(opening.problem).toMatch(problem);
    expect(await opening.file.save(savedState)).toEqual({ kind: "failed", why: opening.problem });
    expect(await readFile(path, "utf8")).toBe(content);
  });

  it("that is a folder cannot be used", async () => {
    const path = await temporaryFolder();
    await mkdir(join(path, "state.json"));
    expect((await opened(join(path, "state.json"))).problem).toMatch(/it is not a regular file/);
  });

  it("is replaced behind a link, which stays", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "volume"));
    await writeFile(join(folder, "volume", "state.json"), JSON.stringify(savedState));
    await symlink(join(folder, "volume", "state.json"), join(folder, "link.json"));
    const { file } = await opened(join(folder, "link.json"));
    await file.save(revision(8));
    expect(await readRevision(join(folder, "volume", "state.json"))).toBe(8);
    expect((await StateFile.open(join(folder, "volume", "state.json"))).kind).toBe("in-use");
  });

  it("is made behind a link to a file that is not there yet, and the link stays", async () => {
    const folder = await temporaryFolder();
    await symlink("volume/real.json", join(folder, "state.json"));
    const { file } = await opened(join(folder, "state.json"));
    await file.save(savedState);
    expect(await readRevision(join(folder, "volume", "real.json"))).toBe(3);
    expect((await lstat(join(folder, "state.json"))).isSymbolicLink()).toBe(true);
  });

  it("that is a pipe is not waited for", async () => {
    const path = join(await temporaryFolder(), "state.json");
    expect(spawnSync("mkfifo", [path]).status).toBe(0);
    expect((await opened(path)).problem).toMatch(/cannot be used and is left as it is: it is not a regular file\. Set/);
  });

  it("works where its path is longer than a socket's may be", async () => {
    const path = join(await temporaryFolder(), "x".repeat(100), "y".repeat(100), "state.json");
    const { file } = await opened(path);
    expect(await file.save(savedState)).toEqual({ kind: "saved" });
    expect((await StateFile.open(path)).kind).toBe("in-use");
  });

  it("in a folder that cannot be written is read, and nothing is saved", async ({ skip }) => {
    if (process.getuid?.() === 0) skip("root writes everywhere");
    const folder = await temporaryFolder();
    const path = join(folder, "state.json");
    await writeFile(path, JSON.stringify(savedState));
    await chmod(folder, 0o500);
    const opening = await opened(path);
    await chmod(folder, 0o700);
    expect(opening.saved).toEqual(savedState);
    expect(opening.problem).toMatch(/cannot be written \(EACCES\)/);
    expect(await opening.file.save(revision(4))).toEqual({ kind: "failed", why: opening.problem });
  });
});

describe("a state file that cannot be written", () => {
  const calls = ["open state.json.new", "write", "sync", "close", "rename state.json"];
  const codes = ["ENOSPC", "EROFS"] as const;
  it.each(calls.flatMap((call) => codes.map((code) => [call, code] as const)))(
    "since %s fails with %s, keeps the old state, and saves once it can",
    async (call, code) => {
      const folder = await temporaryFolder();
      const path = join(folder, "state.json");
      let fails = false;
      const failing = watched((made) => {
        if (fails && made === call) throw Object.assign(new Error(code), { code });
      });
      const { file } = await opened(path, failing);
      await file.save(revision(1));
      fails = true;
      const why = `the state file ${path} cannot be written (${code})`;
      expect(await file.save(revision(2))).toEqual({ kind: "failed", why });
      expect(await readRevision(path)).toBe(1);
      expect((await readdir(folder)).filter((name) => !name.includes(".lock."))).toEqual(["state.json"]);
      fails = false;
      expect(await file.save(revision(3))).toEqual({ kind: "saved" });
      expect(await readRevision(path)).toBe(3);
    },
  );

  it("is not called saved if its new name may be lost", async () => {
    const path = join(await temporaryFolder(), "state.json");
    const { file } = await opened(
      path,
      watched((call) => {
        if (call === "open folder") throw Object.assign(new Error("EIO"), { code: "EIO" });
      }),
    );
    expect((await file.save(revision(2))).kind).toBe("failed");
  });

  it("on a full disk keeps the old state, and saves once there is room", async ({ skip }) => {
    const folder = await temporaryFolder();
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", folder]);
    if (mounted.error !== undefined || mounted.status !== 0) skip("no small file system to fill");
    freeAfterTest(async () => spawnSync("umount", [folder]));
    const path = join(folder, "state.json");
    const { file } = await opened(path);
    await file.save(revision(1));
    const large = { ...revision(2), judge: { "shop 2.4.0": "x".repeat(100_000) } };
    expect(await file.save(large)).toEqual({ kind: "failed", why: expect.stringContaining("(ENOSPC)") });
    expect(await readRevision(path)).toBe(1);
    expect(await file.save(revision(3))).toEqual({ kind: "saved" });
    expect(await readRevision(path)).toBe(3);
    await file.close();
  });
});

it("memory saves everything, and keeps nothing", async () => {
  const memory = new MemoryState();
  expect(await memory.save()).toEqual({ kind: "saved" });
  await memory.close();
});

/** The calls in their order, before they are made; `onCall` may throw. */
function watched(onCall: (call: string) => void): FileCalls {
  return {
    async open(path, flags, mode) {
      onCall(`open ${flags === "r" ? "folder" : "state.json.new"}`);
      const file = await nodeFileCalls.open(path, flags, mode);
      return {
        async writeFile(text) {
          onCall("write");
          await file.writeFile(text);
        },
        async sync() {
          onCall("sync");
          await file.sync();
        },
        async close() {
          await file.close();
          onCall("close");
        },
      };
    },
    async rename(from, to) {
      onCall("rename state.json");
      await nodeFileCalls.rename(from, to);
    },
    unlink: nodeFileCalls.unlink,
  };
}
