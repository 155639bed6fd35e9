import type { SliceResolver } from "./endpoint-resolver.ts";
import { type EndpointRecord, questionKey, type SliceQuestion } from "./service-spec.ts";

/** The records of questions that have changed, by `questionKey`. */
export type SliceRecords = ReadonlyMap<string, readonly EndpointRecord[]>;

/** What a worker knows of Kubernetes: what the main thread, which alone asks the API, has sent it. */
export class ReceivedSlices implements SliceResolver {
  readonly #records = new Map<string, readonly EndpointRecord[]>();
  #changed: () => void = () => {};

  records(question: SliceQuestion): readonly EndpointRecord[] {
    return this.#records.get(questionKey(question)) ?? [];
  }

  follow(questions: readonly SliceQuestion[], changed: () => void): void {
    this.#changed = changed;
    const followed = new Set(questions.map(questionKey));
    for (const key of this.#records.keys()) if (!followed.has(key)) this.#records.delete(key);
  }

  /** The main thread has waited before it sent them. */
  async prepare(): Promise<void> {}

  receive(records: SliceRecords): void {
    for (const [key, found] of records) this.#records.set(key, found);
    this.#changed();
  }
}
