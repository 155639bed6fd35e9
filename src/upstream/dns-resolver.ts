import type { RandomFraction } from "./clock.ts";
import type { DnsLookup } from "./dns-lookup.ts";
import { type DnsAnswer, type DnsQuestion, type DnsRecord, type DnsSpec, questionKey } from "./service-spec.ts";

/** Nothing but empty answers for this long are taken at their word. */
const emptyHoldMs = 30_000;

/** First pause after an answer that was none, doubled by each further one up to the least time to live. */
const shortestRetryMs = 500;

/** The share of its time to live by which an answer is held longer, at most: replicas that start together ask apart. */
const jitter = 0.2;

/** Clock and timers. */
export interface DnsClock {
  nowMs(): number;
  readonly randomFraction: RandomFraction;
  /** Runs it once, after so long; what it answers with calls that off. */
  after(ms: number, run: () => void): () => void;
}

export interface DnsEvents {
  /** An answer came; `kept`: how many records of earlier answers count on for want of it. */
  answered(question: DnsQuestion, answer: DnsAnswer, kept: number): void;
  /** The name stands for other records now. */
  changed(question: DnsQuestion, records: readonly DnsRecord[]): void;
}

/**
 * One name, asked for as often as its answers' time to live says. The last good answer counts on while no name server can
 * tell, without end: an outage of DNS is none of the endpoints. "There is nothing" is believed only when it was all that
 * was heard for a while: a name server that is restarting says so as well, and then addresses whose Pods are gone refuse;
 * but not for ever, for addresses are given to others in time.
 */
export class DnsSource {
  readonly question: DnsQuestion;
  spec: DnsSpec;
  /** In the order of their texts, so that the same answer in another order is no change. */
  records: readonly DnsRecord[] = Object.freeze([]);
  readonly #lookup: DnsLookup;
  readonly #clock: DnsClock;
  readonly #events: DnsEvents;
  readonly #stopped = new AbortController();
  readonly #first = Promise.withResolvers<void>();
  #callOff: () => void = () => {};
  #misses = 0;
  #emptySinceMs: number | undefined;

  constructor(question: DnsQuestion, spec: DnsSpec, lookup: DnsLookup, clock: DnsClock, events: DnsEvents) {
    this.question = question;
    this.spec = spec;
    this.#lookup = lookup;
    this.#clock = clock;
    this.#events = events;
    void this.#ask();
  }

  /** Resolves once the first answer is there, whatever it is. */
  get first(): Promise<void> {
    return this.#first.promise;
  }

  stop(): void {
    this.#callOff();
    this.#stopped.abort();
    this.#first.resolve();
  }

  async #ask(): Promise<void> {
    const { signal } = this.#stopped;
    const answer = await this.#lookup(this.question, this.spec.servers, signal);
    if (signal.aborted) return;
    this.#take(answer);
    this.#first.resolve();
    this.#callOff = this.#clock.after(this.#pauseMs(answer), () => void this.#ask());
  }

  #take(answer: DnsAnswer): void {
    const before = this.records;
    const next = this.#nextRecords(answer);
    this.#events.answered(this.question, answer, answer.kind === "found" ? 0 : next.length);
    if (textOf(next) === textOf(before)) return;
    this.records = next;
    this.#events.changed(this.question, next);
  }

  #nextRecords(answer: DnsAnswer): readonly DnsRecord[] {
    if (answer.kind !== "found") {
      this.#misses++;
      if (answer.kind === "failed") return this.records;
      const nowMs = this.#clock.nowMs();
      this.#emptySinceMs ??= nowMs;
      return nowMs - this.#emptySinceMs < emptyHoldMs ? this.records : Object.freeze([]);
    }
    this.#misses = 0;
    this.#emptySinceMs = undefined;
    const kept = answer.unknown === undefined ? [] : this.records.filter((one) => familyOf(one) === answer.unknown);
    const byText = new Map([...answer.records, ...kept].map((record) => [recordText(record), record]));
    return Object.freeze([...byText].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, record]) => record));
  }

  #pauseMs(answer: DnsAnswer): number {
    const { minTtlMs, maxTtlMs } = this.spec;
    const pauseMs =
      answer.kind === "found"
        ? Math.min(Math.max(answer.ttlMs, minTtlMs), maxTtlMs)
        : Math.min(shortestRetryMs * 2 ** (this.#misses - 1), minTtlMs);
    return pauseMs * (1 + jitter * this.#clock.randomFraction());
  }
}

const recordText = ({ address, port }: DnsRecord): string => `${address} ${port}`;

const textOf = (records: readonly DnsRecord[]): string => records.map(recordText).join();

const familyOf = ({ address }: DnsRecord): 4 | 6 => (address.includes(":") ? 6 : 4);

/** What names stand for now, as far as endpoints need to know. */
export interface EndpointResolver {
  records(question: DnsQuestion): readonly DnsRecord[];
  /** From now on these names are asked for, and no others. */
  follow(questions: readonly DnsQuestion[], spec: DnsSpec, changed: () => void): void;
}

/** For those who only ask what is configured. */
export const unresolved: EndpointResolver = Object.freeze({ records: () => [], follow: () => {} });

/** Every name that a snapshot names, asked for once, however many endpoints and snapshots it stands in. */
export class DnsResolver implements EndpointResolver {
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
  async prepare(questions: readonly DnsQuestion[], spec: DnsSpec, maxMs: number): Promise<void> {
    this.#sources = this.#with(questions, spec, new Map(this.#sources));
    const first = Promise.all(questions.map((question) => this.#sources.get(questionKey(question))?.first));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const callOff = this.#clock.after(maxMs, resolve);
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
