import type { DnsResolver } from "./dns-resolver.ts";
import type { DnsSpec, EndpointQuestion, EndpointRecord, SliceQuestion } from "./service-spec.ts";

/** Where the endpoints are now that the configuration does not name by address. */
export interface EndpointResolver {
  records(question: EndpointQuestion): readonly EndpointRecord[];
  /** Follows these from now on, and no others. `changed` is called after each change of their records. */
  follow(questions: readonly EndpointQuestion[], dns: DnsSpec, changed: () => void): void;
}

/** For use without DNS and Kubernetes, such as explanations. */
export const unresolved: EndpointResolver = Object.freeze({ records: () => [], follow: () => {} });

/** Where the Pods of Kubernetes Services are now. */
export interface SliceResolver {
  records(question: SliceQuestion): readonly EndpointRecord[];
  /** As an `EndpointResolver` does. */
  follow(questions: readonly SliceQuestion[], changed: () => void): void;
  /** Follows these as well, and waits until where they are is known, but at most for `maxMs`. */
  prepare(questions: readonly SliceQuestion[], maxMs: number): Promise<void>;
}

/** For a data plane without endpoints in Kubernetes. */
export const noSlices: SliceResolver = Object.freeze({
  records: () => [],
  follow: () => {},
  prepare: () => Promise.resolve(),
});

/** Asks DNS, or Kubernetes. */
export class EndpointResolvers implements EndpointResolver {
  readonly #names: DnsResolver;
  readonly #slices: SliceResolver;

  constructor(names: DnsResolver, slices: SliceResolver) {
    this.#names = names;
    this.#slices = slices;
  }

  records(question: EndpointQuestion): readonly EndpointRecord[] {
    return question.wanted === "slices" ? this.#slices.records(question) : this.#names.records(question);
  }

  follow(questions: readonly EndpointQuestion[], dns: DnsSpec, changed: () => void): void {
    const inSlices: SliceQuestion[] = [];
    const named = questions.filter((question) => {
      if (question.wanted === "slices") inSlices.push(question);
      return question.wanted !== "slices";
    });
    this.#names.follow(named, dns, changed);
    this.#slices.follow(inSlices, changed);
  }
}
