import type { ControllerParts } from "./controller-parts.ts";
import type { RolloutEvent } from "./rollout-state.ts";
import type { Saving } from "./state/state-store.ts";
import { savedStateOf, type World } from "./world.ts";

/** What a crash may lose of the evidence between two transitions. */
const evidenceSaveMs = 10_000;

/** Saves the world of rollouts, and knows what of it the store does not have. */
export class StateKeeper {
  readonly #parts: Pick<ControllerParts, "store" | "log" | "nowMs">;
  #problem: string | undefined;
  #hasNewEvidence = false;
  #savedAtMs: number;

  /** `problem`: why the saved state cannot be used. */
  constructor(parts: Pick<ControllerParts, "store" | "log" | "nowMs">, problem: string | undefined) {
    this.#parts = parts;
    this.#savedAtMs = parts.nowMs();
    if (problem !== undefined) this.troubled(problem);
  }

  /** What is saved cannot be used. */
  troubled(problem: string): void {
    if (problem !== this.#problem) this.#parts.log.error({ problem }, "rollouts hold: their state cannot be used");
    this.#problem = problem;
  }

  /** Why the state cannot be saved or used; undefined if all is well. */
  get problem(): string | undefined {
    return this.#problem;
  }

  get hasNewEvidence(): boolean {
    return this.#hasNewEvidence;
  }

  /** Whether to save again: new evidence, or what could not be saved before. */
  get isSaveDue(): boolean {
    // Of a clock that was set back, too.
    const passedMs = Math.abs(this.#parts.nowMs() - this.#savedAtMs);
    return (this.#hasNewEvidence || this.#problem !== undefined) && passedMs >= evidenceSaveMs;
  }

  noteEvidence(): void {
    this.#hasNewEvidence = true;
  }

  /** Resolves with whether it is durable now, as far as that is known. */
  async save(
    world: World,
    events: readonly RolloutEvent[],
    evidence: ReadonlyMap<string, unknown>,
  ): Promise<Saving["kind"]> {
    const { store, log, nowMs } = this.#parts;
    const hadEvidence = this.#hasNewEvidence;
    this.#hasNewEvidence = false;
    const saving = await store.save(savedStateOf(world, events, evidence));
    this.#savedAtMs = nowMs();
    const problem = saving.kind === "saved" ? undefined : saving.why;
    if (problem !== undefined) this.#hasNewEvidence ||= hadEvidence;
    if (problem !== undefined && problem !== this.#problem)
      log.error({ problem }, "rollouts hold: their state cannot be saved; requests are served as before");
    if (problem === undefined && this.#problem !== undefined) log.info("the state of rollouts is saved again");
    this.#problem = problem;
    return saving.kind;
  }
}

/** Runs tasks one after the other, in the order of their arrival. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves or rejects as the task does; a task that rejects does not stop those behind it. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }
}
