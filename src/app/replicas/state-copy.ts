import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Logger } from "../../observe/log.ts";
import type { SavedState } from "../../rollout/rollout-state.ts";
import { replaceFile } from "../../rollout/state/replace-file.ts";
import { readSavedState } from "../../rollout/state/saved-state.ts";
import { SerialQueue } from "../../rollout/state-keeper.ts";

/** A copy of the shared state on this machine, for a start without the API: which rollouts there are, not what judges know. */
export class StateCopy {
  readonly #file: string;
  readonly #log: Logger;
  readonly #writing = new SerialQueue();
  #revision: number | undefined;

  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  /** Undefined if there is none that can be used. */
  async read(): Promise<SavedState | undefined> {
    const text = await readFile(this.#file, "utf8").catch(() => undefined);
    const reading = text === undefined ? undefined : readSavedState(text);
    return reading?.kind === "read" ? reading.saved : undefined;
  }

  keep(state: SavedState): void {
    if (state.revision === this.#revision) return;
    this.#revision = state.revision;
    void this.#writing.run(async () => {
      try {
        await mkdir(dirname(this.#file), { recursive: true });
        await replaceFile(this.#file, `${JSON.stringify({ ...state, judge: {}, replicas: {} })}\n`);
      } catch (error) {
        this.#revision = undefined;
        const why = error instanceof Error ? error.message : String(error);
        this.#log.error({ file: this.#file, error: why }, "cannot write the copy of the rollouts' state");
      }
    });
  }

  /** Waits for what is being written. */
  close(): Promise<void> {
    return this.#writing.run(async () => {});
  }
}
