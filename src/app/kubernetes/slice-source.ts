import type { CompiledConfig } from "../../config/compiled-config.ts";
import type { Logger } from "../../observe/log.ts";
import type { SliceResolver } from "../../upstream/endpoint-resolver.ts";
import type { SliceRecords } from "../../upstream/received-slices.ts";
import { type EndpointRecord, type SliceQuestion, sliceQuestionsOf } from "../../upstream/service-spec.ts";
import type { SliceReport, SliceWatches } from "./slice-watches.ts";

export interface SliceSourceOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
}

/** The endpoints of Kubernetes Services in the main thread. Nothing of it is loaded before a configuration has some. */
export class SliceSource implements SliceResolver {
  readonly #options: SliceSourceOptions;
  #watches: SliceWatches | undefined;
  #onRecords: (records: SliceRecords) => void = () => {};

  constructor(options: SliceSourceOptions) {
    this.#options = options;
  }

  /** To be called before a configuration is used. Why its endpoints cannot be found; undefined: they can. */
  async load({ services }: CompiledConfig): Promise<string | undefined> {
    const [first] = sliceQuestionsOf(services);
    if (this.#watches !== undefined || first === undefined) return undefined;
    const { env, log } = this.#options;
    const [{ SliceWatches }, { openAccess }, { NoApiAccess }] = await Promise.all([
      import("./slice-watches.ts"),
      import("../../kubernetes/find-access.ts"),
      import("../../kubernetes/api-access.ts"),
    ]);
    const access = openAccess(env);
    if (access instanceof NoApiAccess) {
      return `the endpoints of the Kubernetes Service ${first.service} cannot be found: ${access.message}`;
    }
    const zone = env["PERCH_ZONE"] || undefined;
    this.#watches = new SliceWatches({ access, zone, log, onRecords: (records) => this.#onRecords(records) });
    return undefined;
  }

  /** Sets the listener for changes of records. */
  onRecords(listener: (records: SliceRecords) => void): void {
    this.#onRecords = listener;
  }

  records(question: SliceQuestion): readonly EndpointRecord[] {
    return this.#watches?.records(question) ?? [];
  }

  follow(questions: readonly SliceQuestion[], changed: () => void): void {
    this.#watches?.follow(questions, changed);
  }

  async prepare(questions: readonly SliceQuestion[], maxMs: number): Promise<void> {
    if (questions.length > 0) await this.#watches?.prepare(questions, maxMs);
  }

  all(): SliceRecords {
    return this.#watches?.all() ?? new Map();
  }

  reports(): readonly SliceReport[] {
    return this.#watches?.reports() ?? [];
  }

  async close(): Promise<void> {
    await this.#watches?.close();
  }
}
