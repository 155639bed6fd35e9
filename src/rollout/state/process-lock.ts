import { randomBytes } from "node:crypto";
import { type FileHandle, open, readdir, rename, unlink } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { basename, dirname, join } from "node:path";

export type Locking =
  | { readonly kind: "locked"; readonly lock: ProcessLock }
  /** The id of the process that holds it, as that process sees it: containers have their own numbering. */
  | { readonly kind: "held"; readonly pid: number };

/** `sun_path` has 108 bytes, 104 on some systems, with the zero at its end. */
const maxSocketPathBytes = 100;
/** A process that does not answer for this long is assumed to hold the lock: it may resume at any time. */
const answerWithinMs = 5_000;
const holds = "holds";
const randomNameBytes = 8;

/**
 * Lets one process at a time use a file, on one machine. Each process listens on its own unix socket next to the
 * file, then looks for the sockets of others. The kernel closes the sockets of a killed process, so a socket that
 * refuses is left over; no name is used twice, so it may be removed without a race.
 *
 * Of two processes that start at once, the one that shows its socket later sees the other's. If neither holds the lock
 * yet, the one with the smaller name waits for the other, which gives up.
 */
export class ProcessLock {
  readonly #server: Server;
  readonly #folder: Folder;
  readonly #name: string;
  /** Others that asked before it was decided whether this process holds the lock. */
  readonly #waiting = new Set<Socket>();
  #holds = false;

  private constructor(folder: Folder, name: string) {
    this.#folder = folder;
    this.#name = name;
    this.#server = createServer((socket) => this.#answer(socket));
    // The lock lives as long as the process, and does not keep it alive.
    this.#server.unref();
  }

  /** Rejects if no socket can be made beside the file. The file's folder must exist. */
  static async take(file: string): Promise<Locking> {
    const prefix = `${basename(file)}.lock.`;
    const name = `${prefix}${process.pid}-${randomBytes(randomNameBytes).toString("hex")}`;
    const folder = await Folder.open(dirname(file), name);
    const lock = new ProcessLock(folder, name);
    try {
      await lock.#show();
      const pid = await lock.#holder(prefix);
      if (pid === undefined) {
        lock.#hold();
        return { kind: "locked", lock };
      }
      await lock.release();
      return { kind: "held", pid };
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  async release(): Promise<void> {
    await unlink(this.#folder.pathOf(this.#name)).catch(() => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const socket of this.#waiting) socket.destroy();
    await promise;
    await this.#folder.close();
  }

  /** Under its name only once it listens: before, it would refuse, as one that is left over does. */
  async #show(): Promise<void> {
    const hidden = this.#folder.pathOf(`.${this.#name}`);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject).listen(hidden, resolve);
    await promise;
    await rename(hidden, this.#folder.pathOf(this.#name));
  }

  async #holder(prefix: string): Promise<number | undefined> {
    for (const name of await readdir(this.#folder.path)) {
      const pid = /^(\d+)-[0-9a-f]+$/.exec(name.slice(prefix.length))?.[1];
      if (!name.startsWith(prefix) || pid === undefined || name === this.#name) continue;
      if (await this.#isHeldBy(name)) return Number(pid);
    }
    return undefined;
  }

  async #isHeldBy(name: string): Promise<boolean> {
    const path = this.#folder.pathOf(name);
    const socket = connect(path);
    const { promise: connected, resolve } = Promise.withResolvers<NodeJS.ErrnoException | undefined>();
    socket.once("connect", () => resolve(undefined)).once("error", resolve);
    const error = await connected;
    if (error !== undefined) {
      if (error.code === "ECONNREFUSED") await unlink(path).catch(() => {});
      // Only these prove that no process listens on it.
      return !["ECONNREFUSED", "ENOENT", "ECONNRESET", "EPIPE"].includes(error.code ?? "");
    }
    if (this.#name > name) {
      socket.destroy();
      return true;
    }
    return isHolding(socket);
  }

  #hold(): void {
    this.#holds = true;
    for (const socket of this.#waiting) socket.end(holds);
    this.#waiting.clear();
  }

  #answer(socket: Socket): void {
    socket.on("error", () => {});
    // Read it, so that its end is noticed.
    socket.resume().unref();
    if (this.#holds) {
      socket.end(holds);
      return;
    }
    this.#waiting.add(socket);
    socket.once("close", () => this.#waiting.delete(socket));
  }
}

/** What the process at the other end says; one that ends, or gives up, closes the connection without a word. */
function isHolding(socket: Socket): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.setTimeout(answerWithinMs, () => resolve(true));
  socket.once("data", () => resolve(true));
  socket.on("error", () => {}).once("close", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

/** A folder whose sockets have a path that is short enough. */
class Folder {
  /** By which its sockets are reached. */
  readonly path: string;
  readonly #handle: FileHandle | undefined;

  private constructor(path: string, handle: FileHandle | undefined) {
    this.path = path;
    this.#handle = handle;
  }

  static async open(path: string, name: string): Promise<Folder> {
    if (Buffer.byteLength(join(path, `.${name}`)) <= maxSocketPathBytes) return new Folder(path, undefined);
    // Linux reaches an open folder by its number, which is short however deep it is; elsewhere listening fails.
    const handle = await open(path, "r");
    return new Folder(`/proc/self/fd/${handle.fd}`, handle);
  }

  pathOf(name: string): string {
    return join(this.path, name);
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }
}
