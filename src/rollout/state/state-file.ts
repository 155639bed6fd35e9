import { mkdir, readFile, readlink, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { SavedState } from "../rollout-state.ts";
import { ProcessLock } from "./process-lock.ts";
import { type FileCalls, nodeFileCalls, replaceFile } from "./replace-file.ts";
import { readSavedState } from "./saved-state.ts";
import type { Saving, StateStore } from "./state-store.ts";

export type StateOpening =
  | {
      readonly kind: "opened";
      readonly file: StateFile;
      /** Undefined: there is none yet, or it cannot be used. */
      readonly saved: SavedState | undefined;
      /** Why the file is read-only for this process, and what to do; nothing is saved. Undefined: all is well. */
      readonly problem: string | undefined;
    }
  | { readonly kind: "in-use"; readonly problem: string };

/** Far above what the bounds of the state and of the judge allow; what is larger is not a state. */
const maxBytes = 64 * 1024 * 1024;

/** The state in a file, for one process at a time. It never overwrites a file that it cannot read. */
export class StateFile implements StateStore {
  readonly #path: string;
  readonly #calls: FileCalls;
  readonly #lock: ProcessLock | undefined;
  readonly #problem: string | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  private constructor(path: string, calls: FileCalls, lock: ProcessLock | undefined, problem: string | undefined) {
    this.#path = path;
    this.#calls = calls;
    this.#lock = lock;
    this.#problem = problem;
  }

  /** Never rejects. Creates missing folders. `calls`: what writes the file. */
  static async open(path: string, calls: FileCalls = nodeFileCalls): Promise<StateOpening> {
    let target = resolve(path);
    let lock: ProcessLock | undefined;
    try {
      target = await realTarget(target);
      const locking = await ProcessLock.take(target);
      if (locking.kind === "held") {
        const problem = `process ${locking.pid} uses the state file ${path}: give each process a \`state.file\` of its own`;
        return { kind: "in-use", problem };
      }
      lock = locking.lock;
    } catch (error) {
      const problem = `the folder of the state file ${path} cannot be written (${whyOf(error)}). Make it writable and restart.`;
      const reading = await read(target);
      const saved = reading.kind === "read" ? reading.saved : undefined;
      return { kind: "opened", file: new StateFile(target, calls, undefined, problem), saved, problem };
    }
    const reading = await read(target);
    const problem =
      reading.kind === "unusable"
        ? `the state file ${path} cannot be used and is left as it is: ${reading.why}. ${reading.remedy}`
        : undefined;
    const saved = reading.kind === "read" ? reading.saved : undefined;
    return { kind: "opened", file: new StateFile(target, calls, lock, problem), saved, problem };
  }

  async save(state: SavedState): Promise<Saving> {
    if (this.#problem !== undefined) return { kind: "failed", why: this.#problem };
    if (this.#isClosed) return { kind: "failed", why: "the state file is closed" };
    const saving = this.#last.then(() => this.#write(state));
    this.#last = saving;
    return saving;
  }

  /** Waits for what is being saved, then lets another process use the file. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#last;
    await this.#lock?.release();
  }

  async #write(state: SavedState): Promise<Saving> {
    const text = `${JSON.stringify(state)}\n`;
    if (Buffer.byteLength(text) > maxBytes) return { kind: "failed", why: tooLarge };
    try {
      await replaceFile(this.#path, text, this.#calls);
      return { kind: "saved" };
    } catch (error) {
      return { kind: "failed", why: `the state file ${this.#path} cannot be written (${whyOf(error)})` };
    }
  }
}

const tooLarge = `it is larger than ${maxBytes / 1024 / 1024} MiB`;

/**
 * Where the file really is, or will be: two names of one file are one lock, and a rename would replace a link by the
 * file. Also a link to a file that is not there yet.
 */
async function realTarget(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  return realpath(path).catch(async (error: NodeJS.ErrnoException) => {
    const link = error.code === "ENOENT" ? await readlink(path).catch(() => undefined) : undefined;
    if (link !== undefined) return realTarget(resolve(dirname(path), link));
    return join(await realpath(dirname(path)), basename(path));
  });
}

async function read(path: string): Promise<ReturnType<typeof readSavedState> | { readonly kind: "none" }> {
  try {
    const found = await stat(path);
    const remedy = "Set `state.file` to another path.";
    // Reading a pipe or a device may take forever.
    if (!found.isFile()) return { kind: "unusable", why: "it is not a regular file", remedy };
    if (found.size > maxBytes) return { kind: "unusable", why: tooLarge, remedy };
    return readSavedState(await readFile(path, "utf8"));
  } catch (error) {
    const why = whyOf(error);
    if (why === "ENOENT") return { kind: "none" };
    return { kind: "unusable", why: `it cannot be read (${why})`, remedy: "Make it readable and restart." };
  }
}

function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return code ?? error.message;
}
