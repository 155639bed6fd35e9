import type { DnsLookup } from "./dns-lookup.ts";
import { type DnsQuestion, type DnsRecord, type DnsSpec, questionKey } from "./dns-question.ts";
import { type DnsClock, type DnsEvents, DnsSource } from "./dns-source.ts";

/** What names stand for now, as far as endpoints need to know. */
export interface EndpointNames {
  records(question: DnsQuestion): readonly DnsRecord[];
  /** From now on these names are asked for, and no others. */
  follow(questions: readonly DnsQuestion[], spec: DnsSpec, changed: () => void): void;
}

/** For those who only ask what is configured. */
export const unresolved: EndpointNames = Object.freeze({ records: () => [], follow: () => {} });

/** Every name that a snapshot names, asked for once, however many endpoints and snapshots it stands in. */
export class DnsNames implements EndpointNames {
  readonly #lookup: DnsLookup;
  readonly #clock: DnsClock;
  readonly #events: DnsEvents;
  #sources: ReadonlyMap<string, DnsSource> = new Map();
  #changed: () => void = () => {};

  constructor(lookup: DnsLookup, clock: DnsClock, events: DnsEvents) {
    this.#lookup = lookup;
    this.#clock = clock;
    this.#events = {
      answered: (...answer) => events.answered(...answer),
      changed: (question, records) => {
        events.changed(question, records);
        this.#changed();
      },
    };
  }

  records(question: DnsQuestion): readonly DnsRecord[] {
    return this.#sources.get(questionKey(question))?.records ?? [];
  }

  follow(questions: readonly DnsQuestion[], spec: DnsSpec, changed: () => void): void {
    const before = this.#sources;
    this.#changed = changed;
    this.#sources = this.#with(questions, spec, new Map());
    for (const [key, source] of before) if (!this.#sources.has(key)) source.stop();
  }

  /**
   * Begins to ask for names before they are followed, and waits for the first answer of each, whatever it is, or for so
   * long: a snapshot that names them then begins with endpoints.
   */
  async prepare(questions: readonly DnsQuestion[], spec: DnsSpec, mostMs: number): Promise<void> {
    this.#sources = this.#with(questions, spec, new Map(this.#sources));
    const first = Promise.all(questions.map((question) => this.#sources.get(questionKey(question))?.first));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const callOff = this.#clock.after(mostMs, resolve);
    await Promise.race([first, late]);
    callOff();
  }

  stop(): void {
    for (const source of this.#sources.values()) source.stop();
    this.#sources = new Map();
  }

  #with(questions: readonly DnsQuestion[], spec: DnsSpec, sources: Map<string, DnsSource>): Map<string, DnsSource> {
    for (const question of questions) {
      const key = questionKey(question);
      const source =
        this.#sources.get(key) ??
        sources.get(key) ??
        new DnsSource(question, spec, this.#lookup, this.#clock, this.#events);
      source.spec = spec;
      sources.set(key, source);
    }
    return sources;
  }
}
