import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { type DatabaseContents, GeoDatabase } from "../identify/geo-database.ts";
import { type ReadFile, readRegularFile, UnfitFileError, whyUnreadable } from "./named-files.ts";

/** A database, or why there is none. */
export type OpenedDatabase = GeoDatabase | { readonly problem: string };

/** Cities of the world are some 70 MiB. */
const maxDatabaseBytes = 256 * 1024 * 1024;
/** What is read and hashed in one turn of the event loop. */
const pieceBytes = 1024 * 1024;

/** Reads a database at once: for commands and the library, which serve nobody meanwhile. */
export function readDatabase(path: string, readFile: ReadFile | undefined): OpenedDatabase {
  try {
    const bytes = readFile === undefined ? readRegularFile(path, maxDatabaseBytes) : readFile(path);
    return GeoDatabase.open({ bytes, digest: createHash("sha256").update(bytes).digest("hex") });
  } catch (error) {
    return { problem: whyUnreadable(error) };
  }
}

interface KnownDatabase {
  readonly path: string;
  readonly stamp: string;
  readonly opened: OpenedDatabase;
}

/**
 * The database of a process that serves: read piece by piece, so that no request waits for it, and kept from load to load
 * while its file is unchanged. A load asks `open`, which never waits; what that lacks `readMissing` reads, and the load is
 * worth another try.
 */
export class DatabaseFile {
  #known: KnownDatabase | undefined;
  #asked: string | undefined;

  readonly open = (path: string): OpenedDatabase => {
    this.#asked = path;
    return this.#current(path)?.opened ?? { problem: "it changes all the time" };
  };

  /** After a load. Resolves with false where nothing was missing; lets go of what the load did not ask for. */
  async readMissing(): Promise<boolean> {
    const path = this.#asked;
    this.#asked = undefined;
    if (path !== undefined && this.#current(path) !== undefined) return false;
    this.#known = undefined;
    if (path === undefined) return false;
    const stamp = stampOf(path);
    this.#known = { path, stamp, opened: await readInPieces(path) };
    return true;
  }

  #current(path: string): KnownDatabase | undefined {
    return this.#known?.path === path && this.#known.stamp === stampOf(path) ? this.#known : undefined;
  }
}

/** What changes when the file does, without reading it. */
function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch (error) {
    return whyUnreadable(error);
  }
}

async function readInPieces(path: string): Promise<OpenedDatabase> {
  try {
    if (!statSync(path).isFile()) throw new UnfitFileError("not-regular");
    const file = await open(path);
    try {
      return GeoDatabase.open(await contentsOf(file));
    } finally {
      await file.close();
    }
  } catch (error) {
    return { problem: whyUnreadable(error) };
  }
}

/** In memory that threads share: every worker reads the one copy. */
async function contentsOf(file: FileHandle): Promise<DatabaseContents> {
  const { size } = await file.stat();
  if (size > maxDatabaseBytes) throw new UnfitFileError("too-large");
  const bytes = new Uint8Array(new SharedArrayBuffer(size));
  const hash = createHash("sha256");
  let length = 0;
  while (length < size) {
    const { bytesRead } = await file.read(bytes, length, Math.min(pieceBytes, size - length), length);
    // It is being written, and whoever does so is not done: the next look will tell.
    if (bytesRead === 0) return { bytes: bytes.subarray(0, length), digest: hash.digest("hex") };
    hash.update(bytes.subarray(length, length + bytesRead));
    length += bytesRead;
  }
  return { bytes, digest: hash.digest("hex") };
}
