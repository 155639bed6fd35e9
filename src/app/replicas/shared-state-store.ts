import { FencedConfigMap, type FencedConfigMapOptions, maxContentBytes } from "../../kubernetes/fenced-config-map.ts";
import type { Logger } from "../../observe/log.ts";
import type { SharedStore } from "../../rollout/replicas/shared-rollouts.ts";
import { readSharedContent, type SharedReading, sharedContentOf } from "../../rollout/replicas/shared-state.ts";
import type { SavedState } from "../../rollout/rollout-state.ts";
import { SerialQueue } from "../../rollout/state-keeper.ts";

export interface SharedStateStoreOptions extends Omit<FencedConfigMapOptions, "onContent" | "problemOf"> {
  readonly log: Logger;
  /** Called with each state that anyone saves, or with why it cannot be used. */
  readonly onState: (state: FoundState) => void;
}

export type FoundState =
  | { readonly kind: "read"; readonly saved: SavedState | undefined; readonly term: string | undefined }
  | { readonly kind: "unusable"; readonly problem: string };

/** The state of all replicas, in a ConfigMap. It never overwrites what it cannot read. */
export class SharedStateStore implements SharedStore {
  readonly #title: string;
  readonly #log: Logger;
  readonly #object: FencedConfigMap;
  /** In the order of the versions, since reading takes its time. */
  readonly #reading = new SerialQueue();
  readonly #saving = new SerialQueue();
  #problem: string | undefined;
  #lacksEvidence = false;

  constructor({ log, onState, ...options }: SharedStateStoreOptions) {
    this.#title = `the ConfigMap ${options.namespace}/${options.name}`;
    this.#log = log;
    this.#object = new FencedConfigMap({
      ...options,
      problemOf: async (content) => {
        const reading = await readSharedContent(content);
        return reading.kind === "unusable" ? reading.why : undefined;
      },
      onContent: (content, term) => {
        const reading = this.#reading.run(async () => onState(this.#stateIn(await readSharedContent(content), term)));
        reading.catch((error: unknown) => log.error({ err: error }, "the shared state of the rollouts cannot be used"));
      },
    });
  }

  async takeOver(term: string): Promise<{ saved: SavedState | undefined; problem: string | undefined }> {
    const reading = await readSharedContent(await this.#object.takeOver(term));
    this.#problem = reading.kind === "unusable" ? this.#unusable(reading.why) : undefined;
    return { saved: reading.kind === "read" ? reading.saved : undefined, problem: this.#problem };
  }

  save(state: SavedState): ReturnType<SharedStore["save"]> {
    return this.#saving.run(() => this.#save(state));
  }

  /** Why this process does not save, if it took it over. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** This process does not save any more. */
  handOver(): void {
    this.#object.handOver();
  }

  close(): Promise<void> {
    return this.#object.close();
  }

  async #save(state: SavedState): ReturnType<SharedStore["save"]> {
    if (this.#problem !== undefined) return { kind: "failed", why: this.#problem };
    const { content, lacksEvidence } = await sharedContentOf(state, maxContentBytes);
    if (lacksEvidence && !this.#lacksEvidence) this.#log.warn(tooLarge);
    this.#lacksEvidence = lacksEvidence;
    // The next leader could not use it, and would hold all rollouts until somebody empties the ConfigMap. What judges know is
    // large, and its form is theirs.
    const reading = await readSharedContent({ ...content, binaryData: {} });
    if (reading.kind === "unusable") {
      return { kind: "failed", why: `${this.#title} would not be readable: ${reading.why}` };
    }
    const saving = await this.#object.save(content);
    if (saving.kind === "unusable") {
      this.#problem = this.#unusable(saving.why);
      return { kind: "failed", why: this.#problem };
    }
    return "why" in saving ? { kind: saving.kind, why: `${this.#title} cannot be written (${saving.why})` } : saving;
  }

  #stateIn(reading: SharedReading, term: string | undefined): FoundState {
    if (reading.kind === "unusable") {
      this.#problem = this.#unusable(reading.why);
      return { kind: "unusable", problem: this.#problem };
    }
    return { kind: "read", saved: reading.kind === "read" ? reading.saved : undefined, term };
  }

  #unusable(why: string): string {
    return `${this.#title} cannot be used and is left as it is: ${why}. Put a copy of it back, or empty it to start over.`;
  }
}

const tooLarge =
  "what the checks know is too large for a ConfigMap (1 MiB): it is not saved, and a new leader starts to count anew";
