import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync, statSync, watch } from "node:fs";
import { basename, dirname, isAbsolute, join, parse, resolve, sep } from "node:path";

/** A running watch on one directory, such as an `fs.FSWatcher`. */
export interface DirectoryWatch {
  close(): void;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** Starts a watch; throws if the system cannot. `name` is the changed entry, null if unknown. */
export type WatchDirectory = (directory: string, onEvent: (name: string | null) => void) => DirectoryWatch;

export interface FileWatcherOptions {
  /** Files to watch, relative to the working directory. A missing file is watched until it appears. */
  readonly files: readonly string[];
  /** How often to check without events, in milliseconds. Default 5000. */
  readonly pollMs?: number;
  /** The quiet time after the last event before a check, in milliseconds. Default 75. */
  readonly debounceMs?: number;
  /** Called when the contents of at least one file have changed. May call any method of the watcher. */
  readonly onChange: () => void;
  /** Called once if directories cannot be watched and only polling remains. */
  readonly onWarning: (message: string) => void;
  /** How to watch a directory. Default: `fs.watch`. */
  readonly watchDirectory?: WatchDirectory;
}

/**
 * Reports changes of a set of files: written in place, replaced by a rename, or swapped by the kubelet through the
 * `..data` link of a ConfigMap volume.
 *
 * A watch on the file itself follows its inode and gets no events after the file is replaced. So the directories on the
 * path are watched instead, including those behind symbolic links. An event only triggers a check, which compares a
 * hash of the contents. Polling is the fallback: network file systems and exhausted inotify limits deliver no events.
 *
 * An editor may truncate a file before it writes, so a check may see a half-written file. The consumer must keep the
 * last valid contents. The watcher keeps the process alive until `close`.
 */
export class FileWatcher {
  readonly #onChange: () => void;
  readonly #onWarning: (message: string) => void;
  readonly #watchDirectory: WatchDirectory;
  readonly #debounceMs: number;
  readonly #poll: NodeJS.Timeout;
  readonly #watches = new Map<string, OpenWatch>();
  #states = new Map<string, FileState>();
  #debounce: NodeJS.Timeout | undefined;
  #warned = false;
  #closed = false;

  constructor(options: FileWatcherOptions) {
    this.#onChange = options.onChange;
    this.#onWarning = options.onWarning;
    this.#watchDirectory = options.watchDirectory ?? watchWithFs;
    this.#debounceMs = options.debounceMs ?? 75;
    this.#poll = setInterval(() => this.#checkFiles("poll"), options.pollMs ?? 5_000);
    this.setFiles(options.files);
  }

  /**
   * Replaces the set of files. A new file's current contents are the baseline, so adding it is no change. If the
   * consumer has already read it, `contentsRead` (by the path as given here) is the baseline instead: a change between
   * that read and this call is then detected at the next check. That holds for files up to 4 MiB, whose contents are
   * compared.
   */
  setFiles(files: readonly string[], contentsRead?: ReadonlyMap<string, Uint8Array>): void {
    if (this.#closed) return;
    const previous = this.#states;
    this.#states = new Map(files.map((file) => [resolve(file), unknownState]));
    // Watch before reading, or a change in between would be missed.
    this.#watchDirectories();
    for (const file of files) {
      const path = resolve(file);
      const read = contentsRead?.get(file);
      if (read === undefined || read.length > maxHashedBytes)
        this.#states.set(path, previous.get(path) ?? stateOf(path, unknownState, "event"));
      else this.#states.set(path, { ...unknownState, digest: createHash("sha256").update(read).digest("base64") });
    }
  }

  /** Checks every file now; calls `onChange` synchronously if one has changed. For SIGHUP. */
  check(): void {
    this.#checkFiles("event");
  }

  /** Stops all timers and watches; no callback is called afterwards. Idempotent. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#debounce);
    for (const directory of [...this.#watches.keys()]) this.#unwatch(directory);
  }

  #checkFiles(cause: "event" | "poll"): void {
    if (this.#closed) return;
    this.#watchDirectories();
    let changed = false;
    for (const [file, before] of this.#states) {
      const now = stateOf(file, before, cause);
      if (now.digest !== before.digest) changed = true;
      this.#states.set(file, now);
    }
    if (changed) this.#onChange();
  }

  /** Updates the watches to where the files' links lead now. Also retries watches that failed. */
  #watchDirectories(): void {
    const wanted = new Map<string, Set<string>>();
    for (const file of this.#states.keys()) {
      for (const { directory, name } of entriesOnPath(file)) {
        const names = wanted.get(directory) ?? new Set([basename(directory)]);
        wanted.set(directory, names.add(name));
      }
    }
    for (const directory of [...this.#watches.keys()]) {
      if (!wanted.has(directory)) this.#unwatch(directory);
    }
    for (const [directory, names] of wanted) this.#watchOne(directory, names);
  }

  #watchOne(directory: string, names: ReadonlySet<string>): void {
    const identity = directoryIdentity(directory);
    const open = this.#watches.get(directory);
    if (open !== undefined && open.identity === identity) {
      open.names = names;
      return;
    }
    this.#unwatch(directory);
    if (identity === undefined) return;
    try {
      const watching = this.#watchDirectory(directory, (name) => this.#onEvent(directory, name));
      this.#watches.set(directory, { watching, identity, names });
      watching.on("error", (error) => {
        if (this.#watches.get(directory)?.watching === watching) this.#unwatch(directory);
        this.#warn(directory, error);
      });
    } catch (error) {
      // Removed since its identity was read, which is no fault of watching. The next check handles it.
      if (codeOf(error) !== "ENOENT") this.#warn(directory, error);
    }
  }

  #unwatch(directory: string): void {
    this.#watches.get(directory)?.watching.close();
    this.#watches.delete(directory);
  }

  #onEvent(directory: string, name: string | null): void {
    // Events of other files, such as a log beside the configuration, must not restart the debounce.
    if (name !== null && this.#watches.get(directory)?.names.has(name) === false) return;
    if (this.#closed) return;
    clearTimeout(this.#debounce);
    this.#debounce = setTimeout(() => this.#checkFiles("event"), this.#debounceMs);
  }

  #warn(directory: string, error: unknown): void {
    if (this.#warned || this.#closed) return;
    this.#warned = true;
    const why = error instanceof Error ? error.message : String(error);
    this.#onWarning(`cannot watch ${directory} for changes (${why}); falling back to polling`);
  }
}

const watchWithFs: WatchDirectory = (directory, onEvent) => watch(directory, (_kind, name) => onEvent(name));

interface OpenWatch {
  readonly watching: DirectoryWatch;
  /** Identifies the watched directory: another one may be created at the same path. */
  readonly identity: string;
  /** The relevant entries, and the directory's own name, under which its removal is reported. */
  names: ReadonlySet<string>;
}

interface FileState {
  /** Of the contents, or the reason why they cannot be read. */
  readonly digest: string | undefined;
  /** Identity, size and times of the file at the last poll. */
  readonly polledStamp: string | undefined;
  /** The stamp was unchanged for a whole poll interval, and the contents were read at its end. */
  readonly settled: boolean;
}

/** Larger files, such as databases, are compared by their stamp only. */
const maxHashedBytes = 4n * 1024n * 1024n;

const unknownState: FileState = Object.freeze({ digest: undefined, polledStamp: undefined, settled: false });

/**
 * Reads the file and hashes it. A poll of a settled file stops at its stamp, so that a large list costs one `fstat`
 * every few seconds. A new stamp alone is not trusted: two writes within one clock tick of the file system share it
 * (the "racy git" problem), so the file is read again one poll later.
 */
function stateOf(file: string, before: FileState, cause: "event" | "poll"): FileState {
  let descriptor: number;
  try {
    // Non-blocking: opening a named pipe would otherwise block the process until it has a writer.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return stateAfterError(before, error);
  }
  try {
    const stat = fstatSync(descriptor, { bigint: true });
    // Reading a pipe or a terminal would consume data that its consumer needs.
    if (!stat.isFile()) return { ...unknownState, digest: "not a regular file" };
    const stamp = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
    // Hashing a large file would block requests. The stamp misses only a same-size write within the same clock tick.
    if (stat.size > maxHashedBytes) return { ...unknownState, digest: stamp };
    const isSameStamp = stamp === before.polledStamp;
    if (cause === "event") return { ...before, digest: digestOf(descriptor), settled: before.settled && isSameStamp };
    if (isSameStamp && before.settled) return before;
    return { digest: digestOf(descriptor), polledStamp: stamp, settled: isSameStamp };
  } catch (error) {
    return stateAfterError(before, error);
  } finally {
    closeSync(descriptor);
  }
}

/** A missing or unreadable file is a change. Running out of descriptors says nothing about the file. */
function stateAfterError(before: FileState, error: unknown): FileState {
  const code = codeOf(error);
  if (code === "EMFILE" || code === "ENFILE") return before;
  return { ...unknownState, digest: `unreadable: ${code}` };
}

/** Reads in pieces, so that a large file is never in memory as a whole. */
function digestOf(descriptor: number): string {
  const hash = createHash("sha256");
  const piece = Buffer.allocUnsafe(65_536);
  let length = readSync(descriptor, piece);
  while (length > 0) {
    hash.update(piece.subarray(0, length));
    length = readSync(descriptor, piece);
  }
  return hash.digest("base64");
}

/** As Linux (path_resolution(7)); more links are a loop. */
const maxLinks = 40;

/**
 * The directory entries that determine where a path leads: the file itself and every symbolic link on the path, each in
 * its real directory. If an entry is missing, the list ends with it.
 */
function entriesOnPath(file: string): { directory: string; name: string }[] {
  const { root } = parse(file);
  const entries: { directory: string; name: string }[] = [];
  const rest = file.slice(root.length).split(sep).reverse();
  let directory = root;
  let linksLeft = maxLinks;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      directory = dirname(directory);
      continue;
    }
    const path = join(directory, name);
    const target = linkTarget(path);
    if (target === "directory") {
      directory = path;
      continue;
    }
    entries.push({ directory, name });
    if (target === "file" || target === "missing" || linksLeft === 0) break;
    linksLeft -= 1;
    if (isAbsolute(target.link)) directory = parse(target.link).root;
    rest.push(...target.link.split(sep).reverse());
  }
  return entries;
}

function linkTarget(path: string): "directory" | "file" | "missing" | { readonly link: string } {
  try {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) return { link: readlinkSync(path) };
    return stat.isDirectory() ? "directory" : "file";
  } catch {
    // It was removed, or there is no permission: nothing below it can be watched.
    return "missing";
  }
}

/** Includes the birth time, since a new directory may reuse the inode number of a removed one. */
function directoryIdentity(directory: string): string | undefined {
  try {
    const stat = statSync(directory, { bigint: true });
    return `${stat.dev}:${stat.ino}:${stat.birthtimeNs}`;
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}
