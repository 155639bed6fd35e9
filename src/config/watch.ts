import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync, statSync, watch } from "node:fs";
import { basename, dirname, isAbsolute, join, parse, resolve, sep } from "node:path";

/** A running watch on one directory. `fs.FSWatcher` is one. */
export interface DirectoryWatch {
  close(): void;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** Starts a watch; throws where the system has none to give. `name` is the entry that changed, null where unknown. */
export type WatchDirectory = (directory: string, onEvent: (name: string | null) => void) => DirectoryWatch;

export interface FileWatcherOptions {
  /** Files to look at; relative paths start from the working directory. A missing file is watched until it appears. */
  readonly files: readonly string[];
  /** How often to look although no event came, in milliseconds. Default 5000. */
  readonly pollMs?: number;
  /** How long no further event may come before a look, in milliseconds. Default 75. */
  readonly debounceMs?: number;
  /** The contents of at least one file are no longer what they were. May call any method of the watcher. */
  readonly onChange: () => void;
  /** Called once, when directories can not be watched and only polling is left. */
  readonly onWarning: (message: string) => void;
  /** How to watch a directory. Default: `fs.watch`. */
  readonly watchDirectory?: WatchDirectory;
}

/** Linux gives up after 40 links as well (path_resolution(7)); more are a loop. */
const maxLinks = 40;

const watchWithNode: WatchDirectory = (directory, onEvent) => watch(directory, (_kind, name) => onEvent(name));

/**
 * Tells when any of a set of files may have changed, whether an editor wrote it, a tool renamed another file over it,
 * or the kubelet swapped the `..data` link of a ConfigMap volume.
 *
 * A watch on the file itself follows its inode and goes deaf after the first swap, so the directories on the way to the
 * file are watched, and those behind every symbolic link. Events only say when to look: what decides is a hash of the
 * contents. Polling backs this up, since network file systems and exhausted inotify limits bring no events at all.
 *
 * An editor may truncate before it writes, so a look may meet an empty or a half-written file: whoever loads it must
 * keep the last good contents. The watcher keeps the process alive until `close`.
 */
export class FileWatcher {
  readonly #onChange: () => void;
  readonly #onWarning: (message: string) => void;
  readonly #watchDirectory: WatchDirectory;
  readonly #debounceMs: number;
  readonly #poll: NodeJS.Timeout;
  readonly #watches = new Map<string, OpenWatch>();
  #looks = new Map<string, Look>();
  #debounce: NodeJS.Timeout | undefined;
  #warned = false;
  #closed = false;

  constructor(options: FileWatcherOptions) {
    this.#onChange = options.onChange;
    this.#onWarning = options.onWarning;
    this.#watchDirectory = options.watchDirectory ?? watchWithNode;
    this.#debounceMs = options.debounceMs ?? 75;
    this.#poll = setInterval(() => this.#look("poll"), options.pollMs ?? 5_000);
    this.setFiles(options.files);
  }

  /**
   * Replaces the set of files. What a file holds now is taken as known, so that adding it is no change. Where its
   * consumer read it earlier, `contentsRead` (by the path as given here) says what it got: then a change between that
   * read and this call is seen as one at the next look.
   */
  setFiles(files: readonly string[], contentsRead?: ReadonlyMap<string, Uint8Array>): void {
    if (this.#closed) return;
    const previous = this.#looks;
    this.#looks = new Map(files.map((file) => [resolve(file), unknownLook]));
    // The watches must stand before the contents are read, or a change in between would go unseen.
    this.#watchDirectories();
    for (const file of files) {
      const path = resolve(file);
      const read = contentsRead?.get(file);
      if (read === undefined) this.#looks.set(path, previous.get(path) ?? lookAt(path, unknownLook, "event"));
      else this.#looks.set(path, { ...unknownLook, digest: createHash("sha256").update(read).digest("base64") });
    }
  }

  /** Looks at once, reading every file; `onChange` is called before this returns. For SIGHUP. */
  check(): void {
    this.#look("event");
  }

  /** Ends every timer and watch; nothing is called any more. May be called again. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#debounce);
    for (const directory of [...this.#watches.keys()]) this.#unwatch(directory);
  }

  #look(cause: "event" | "poll"): void {
    if (this.#closed) return;
    this.#watchDirectories();
    let changed = false;
    for (const [file, before] of this.#looks) {
      const now = lookAt(file, before, cause);
      if (now.digest !== before.digest) changed = true;
      this.#looks.set(file, now);
    }
    if (changed) this.#onChange();
  }

  /** Brings the open watches in line with where the files' links lead now. Also takes up watches that failed before. */
  #watchDirectories(): void {
    const wanted = new Map<string, Set<string>>();
    for (const file of this.#looks.keys()) {
      for (const { directory, name } of entriesOnTheWay(file)) {
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
      // Gone since its identity was read: no fault of the system, and the next look meets what took its place.
      if (codeOf(error) !== "ENOENT") this.#warn(directory, error);
    }
  }

  #unwatch(directory: string): void {
    this.#watches.get(directory)?.watching.close();
    this.#watches.delete(directory);
  }

  #onEvent(directory: string, name: string | null): void {
    // A log that is written beside the configuration must not put the look off again and again.
    if (name !== null && this.#watches.get(directory)?.names.has(name) === false) return;
    if (this.#closed) return;
    clearTimeout(this.#debounce);
    this.#debounce = setTimeout(() => this.#look("event"), this.#debounceMs);
  }

  #warn(directory: string, error: unknown): void {
    if (this.#warned || this.#closed) return;
    this.#warned = true;
    const why = error instanceof Error ? error.message : String(error);
    this.#onWarning(`cannot watch ${directory} for changes (${why}); looking at the files by polling only`);
  }
}

interface OpenWatch {
  readonly watching: DirectoryWatch;
  /** Which directory the watch is on, since another one may come to stand under the same path. */
  readonly identity: string;
  /** The entries that matter, and the directory's own name, under which its removal is reported. */
  names: ReadonlySet<string>;
}

/** What the last look at a file found. */
interface Look {
  /** Of the contents, or the reason why there are none. */
  readonly digest: string | undefined;
  /** The file's identity, size and times at the last poll. */
  readonly polledStamp: string | undefined;
  /** The stamp stood unchanged for a whole poll interval and the contents were read at its end. */
  readonly settled: boolean;
}

/** A larger file, such as a database, is told by its stamp alone. */
const maxRead = 4n * 1024n * 1024n;

const unknownLook: Look = Object.freeze({ digest: undefined, polledStamp: undefined, settled: false });

/**
 * Reads the file and hashes it. Polls of a settled file stop at its stamp, so that a list of a hundred thousand lines
 * costs one `fstat` every few seconds. A new stamp alone is not trusted: two writes within the file system's clock tick
 * share it (the "racy git" problem), hence the second reading a poll later.
 */
function lookAt(file: string, before: Look, cause: "event" | "poll"): Look {
  let descriptor: number;
  try {
    // Non-blocking, or a named pipe given as a file would stop the process until someone writes to it.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return lookFailed(before, error);
  }
  try {
    const stat = fstatSync(descriptor, { bigint: true });
    // Reading from a pipe or a terminal would take from its consumer what can not be read twice.
    if (!stat.isFile()) return { ...unknownLook, digest: "not a regular file" };
    const stamp = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
    // Reading a large file would hold up every request; the mistake of a stamp takes a second write of the same size.
    if (stat.size > maxRead) return { ...unknownLook, digest: stamp };
    const stood = stamp === before.polledStamp;
    if (cause === "event") return { ...before, digest: digestOf(descriptor), settled: before.settled && stood };
    if (stood && before.settled) return before;
    return { digest: digestOf(descriptor), polledStamp: stamp, settled: stood };
  } catch (error) {
    return lookFailed(before, error);
  } finally {
    closeSync(descriptor);
  }
}

/** A missing or unreadable file is news; that this process has no descriptor left says nothing about the file. */
function lookFailed(before: Look, error: unknown): Look {
  const code = codeOf(error);
  if (code === "EMFILE" || code === "ENFILE") return before;
  return { ...unknownLook, digest: `unreadable: ${code}` };
}

/** In pieces, so that a long list is never held whole. */
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

/**
 * The directory entries that decide what a path leads to: the file itself and every symbolic link on the way, each in
 * its real directory. Ends at an entry that is missing, in the deepest directory that exists.
 */
function entriesOnTheWay(file: string): { directory: string; name: string }[] {
  const { root } = parse(file);
  const entries: { directory: string; name: string }[] = [];
  const ahead = file.slice(root.length).split(sep).reverse();
  let directory = root;
  let linksLeft = maxLinks;
  for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
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
    ahead.push(...target.link.split(sep).reverse());
  }
  return entries;
}

function linkTarget(path: string): "directory" | "file" | "missing" | { readonly link: string } {
  try {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) return { link: readlinkSync(path) };
    return stat.isDirectory() ? "directory" : "file";
  } catch {
    // Removed meanwhile, or not allowed to look: either way nothing behind it can be watched.
    return "missing";
  }
}

/** The birth time tells a new directory from a removed one whose inode number it was given. */
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
