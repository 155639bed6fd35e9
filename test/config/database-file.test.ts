import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { DatabaseFile } from "../../src/config/database-file.ts";
import { FileWatcher } from "../../src/config/watch.ts";
import { mmdb } from "../kit/mmdb.ts";

const folder = mkdtempSync(join(tmpdir(), "perch-database-"));
afterAll(() => rmSync(folder, { recursive: true }));

const path = join(folder, "places.mmdb");
const contents = (country: string) => mmdb({ "192.0.2.0/24": { country: { iso_code: country } } });

describe("the database of a serving process", () => {
  it("is read asynchronously, once per change, and released when no configuration names it", async () => {
    const file = new DatabaseFile();
    writeFileSync(path, contents("CN"));
    expect(file.open(path)).toHaveProperty("problem");
    expect(await file.readMissing()).toBe(true);
    const first = file.open(path);
    expect(first).not.toHaveProperty("problem");
    expect(await file.readMissing()).toBe(false);
    expect(file.open(path)).toBe(first);

    writeFileSync(path, Buffer.concat([contents("DE"), Buffer.from("more")]));
    expect(file.open(path)).toHaveProperty("problem");
    expect(await file.readMissing()).toBe(true);
    const second = file.open(path);
    expect(second).not.toBe(first);

    expect(await file.readMissing()).toBe(false);
    expect(await file.readMissing()).toBe(false);
    expect(file.open(path)).toHaveProperty("problem");
  });

  it("is in shared memory", async () => {
    const file = new DatabaseFile();
    writeFileSync(path, contents("CN"));
    file.open(path);
    await file.readMissing();
    const opened = file.open(path);
    expect("contents" in opened && opened.contents.bytes.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it.each([
    ["missing", join(folder, "gone.mmdb"), "no such file"],
    ["a folder", folder, "it is not a regular file"],
    ["an endless device", "/dev/zero", "it is not a regular file"],
    ["larger than 256 MiB", join(folder, "large.mmdb"), "it is too large"],
  ])("cannot be %s", async (_sentence, at, problem) => {
    writeFileSync(join(folder, "large.mmdb"), "");
    truncateSync(join(folder, "large.mmdb"), 256 * 1024 * 1024 + 1);
    const file = new DatabaseFile();
    file.open(at);
    await file.readMissing();
    expect(file.open(at)).toEqual({ problem });
  });
});

it("a change of a file that is too large to be hashed at every check is detected", async () => {
  const large = join(folder, "watched.mmdb");
  writeFileSync(large, "");
  truncateSync(large, 5 * 1024 * 1024);
  const { promise: changed, resolve } = Promise.withResolvers<void>();
  const watcher = new FileWatcher({ files: [large], onChange: resolve, onWarning: () => {} });
  writeFileSync(large, Buffer.alloc(5 * 1024 * 1024, 1));
  await changed;
  watcher.close();
});
