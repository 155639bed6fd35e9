import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { type DatabaseContents, GeoDatabase } from "../identify/geo-database.ts";
import { type ReadFile, readRegularFile, UnfitFileError, whyUnreadable } from "./named-files.ts";

export type OpenedDatabase = GeoDatabase | { readonly problem: string };

/** A worldwide city database has about 70 MiB. */
const maxDatabaseBytes = 256 * 1024 * 1024;
/** Bytes that are read and hashed per turn of the event loop. */
const pieceBytes = 1024 * 1024;

/** Reads a database synchronously: for commands and the library only, since it blocks the event loop. */
export function readDatabase(path: string, readFile: ReadFile | undefined): OpenedDatabase {
  try {
    const bytes = readFile === undefined ? readRegularFile(path, maxDatabaseBytes) : readFile(path);
    return GeoDatabase.open({ bytes, digest: createHash("sha256").update(bytes).digest("hex") });
  } catch (error) {
    return { problem: whyUnreadable(error) };
  }
}

/** What was read, or why it cannot be used, of the file as the stamp tells it. Cloneable; its bytes are shared memory. */
export interface KnownDatabase {
  readonly path: string;
  readonly stamp: string;
  readonly read: DatabaseContents | { readonly problem: string };
}

/**
 * The database of a serving process. It is read in pieces, so that it does not block requests, and kept across loads
 * while its file is unchanged. A load calls `open`, which never waits and fails if the database is not in memory.
 * `readMissing` then reads it, and the load can be repeated.
 */
export class DatabaseFile {
  #known: (KnownDatabase & { readonly opened: OpenedDatabase }) | undefined;
  #requested: string | undefined;

  /** `known`: what another thread has read. */
  constructor(known?: KnownDatabase) {
    if (known !== undefined) this.#known = { ...known, opened: opened(known.read) };
  }

  get known(): KnownDatabase | undefined {
    if (this.#known === undefined) return undefined;
    const { path, stamp, read } = this.#known;
    return { path, stamp, read };
  }

  readonly open = (path: string): OpenedDatabase => {
    this.#requested = path;
    return this.#current(path)?.opened ?? { problem: "it keeps changing while it is read" };
  };

  /** Call after a load. Resolves to false if nothing was missing. Drops a database that the load did not request. */
  async readMissing(): Promise<boolean> {
    const path = this.#requested;
    this.#requested = undefined;
    if (path !== undefined && this.#current(path) !== undefined) return false;
    this.#known = undefined;
    if (path === undefined) return false;
    const stamp = stampOf(path);
    const read = await readInPieces(path);
    this.#known = { path, stamp, read, opened: opened(read) };
    return true;
  }

  #current(path: string): { readonly opened: OpenedDatabase } | undefined {
    return this.#known?.path === path && this.#known.stamp === stampOf(path) ? this.#known : undefined;
  }
}

/** The file's identity, size and times: detects changes without reading it. */
function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch (error) {
    return whyUnreadable(error);
  }
}

const opened = (read: KnownDatabase["read"]): OpenedDatabase => ("problem" in read ? read : GeoDatabase.open(read));

async function readInPieces(path: string): Promise<KnownDatabase["read"]> {
  try {
    if (!statSync(path).isFile()) throw new UnfitFileError("not-regular");
    const file = await open(path);
    try {
      return await contentsOf(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    return { problem: whyUnreadable(error) };
  }
}

/** Reads into shared memory, so that all workers use one copy. */
async function contentsOf(file: FileHandle): Promise<DatabaseContents> {
  const { size } = await file.stat();
  if (size > maxDatabaseBytes) throw new UnfitFileError("too-large");
  const bytes = new Uint8Array(new SharedArrayBuffer(size));
  const hash = createHash("sha256");
  let length = 0;
  while (length < size) {
    const { bytesRead } = await file.read(bytes, length, Math.min(pieceBytes, size - length), length);
    // Shorter than its size: another process is writing it. The next check sees the new stamp.
    if (bytesRead === 0) return { bytes: bytes.subarray(0, length), digest: hash.digest("hex") };
    hash.update(bytes.subarray(length, length + bytesRead));
    length += bytesRead;
  }
  return { bytes, digest: hash.digest("hex") };
}
