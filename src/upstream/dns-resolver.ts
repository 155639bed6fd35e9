import type { RandomFraction, Timers } from "./clock.ts";
import type { DnsLookup } from "./dns-lookup.ts";
import {
  type AddressFamily,
  type DnsAnswer,
  type DnsQuestion,
  type DnsRecord,
  type DnsSpec,
  questionKey,
} from "./service-spec.ts";

/** The time, calls at a later time, and the randomness that spreads them. */
export interface DnsTimers extends Pick<Timers, "nowMs" | "schedule"> {
  readonly randomFraction: RandomFraction;
}

export interface DnsEvents {
  /** `kept` is the number of records of earlier answers that stay in use because this answer has none. */
  answered(question: DnsQuestion, answer: DnsAnswer, kept: number): void;
  /** The name has other records than before. */
  changed(question: DnsQuestion, records: readonly DnsRecord[]): void;
}

/** Empty answers replace earlier records only after this time. */
const emptyHoldMs = 30_000;

/** First pause after a failed or empty answer; doubles each time up to the minimum TTL. */
const minRetryMs = 500;

/** Maximum extension of a TTL, as a share of it, so that replicas that start together do not query together. */
const jitter = 0.2;

/**
 * One name, resolved again when its TTL ends. While resolution fails, the last good records stay in use without limit:
 * a DNS outage is not an outage of the endpoints. Empty answers are acted on only after a while, since a restarting
 * name server also gives them, and requests to a deleted Pod's address are merely refused. But they are acted on in the
 * end, since addresses are reassigned.
 */
export class DnsSource {
  readonly question: DnsQuestion;
  spec: DnsSpec;
  /** Sorted by text, so that the same records in another order are not a change. */
  records: readonly DnsRecord[] = Object.freeze([]);
  readonly #lookup: DnsLookup;
  readonly #timers: DnsTimers;
  readonly #events: DnsEvents;
  readonly #stopped = new AbortController();
  readonly #first = Promise.withResolvers<void>();
  #cancelTimer: () => void = () => {};
  #nextQueryMs = 0;
  /** The address family that a lookup still waits for. */
  #pending: AddressFamily | undefined;
  #misses = 0;
  #emptySinceMs: number | undefined;

  constructor(question: DnsQuestion, spec: DnsSpec, lookup: DnsLookup, timers: DnsTimers, events: DnsEvents) {
    this.question = question;
    this.spec = spec;
    this.#lookup = lookup;
    this.#timers = timers;
    this.#events = events;
    void this.#query();
  }

  /** Resolves after the first answer, whatever it is. */
  get first(): Promise<void> {
    return this.#first.promise;
  }

  stop(): void {
    this.#cancelTimer();
    this.#stopped.abort();
    this.#first.resolve();
  }

  async #query(): Promise<void> {
    const { question, spec } = this;
    const { signal } = this.#stopped;
    const { servers } = spec;
    const { answer, complete } = await this.#lookup({ question, servers, signal, pending: this.#pending });
    if (signal.aborted) return;
    this.#take(answer);
    this.#first.resolve();
    this.#queryIn(this.#pauseMs(answer));
    if (complete !== undefined && answer.kind === "found") void this.#awaitLate(answer.unknown, complete);
  }

  #queryIn(pauseMs: number): void {
    this.#cancelTimer();
    this.#nextQueryMs = this.#timers.nowMs() + pauseMs;
    this.#cancelTimer = this.#timers.schedule(pauseMs, () => void this.#query());
  }

  /**
   * Takes the records of the late families once they have answered. Those of the other are not taken: a later query may
   * have renewed them. A TTL that ends before the next query makes it earlier.
   */
  async #awaitLate(late: readonly AddressFamily[], complete: Promise<DnsAnswer>): Promise<void> {
    [this.#pending] = late;
    const answer = await complete;
    this.#pending = undefined;
    if (this.#stopped.signal.aborted || answer.kind !== "found") return;
    const answered = late.filter((family) => !answer.unknown.includes(family));
    if (answered.length === 0) return;
    const isLate = (record: DnsRecord) => answered.includes(familyOf(record));
    this.#use(sorted([...this.records.filter((record) => !isLate(record)), ...answer.records.filter(isLate)]));
    const pauseMs = this.#pauseMs(answer);
    if (this.#timers.nowMs() + pauseMs < this.#nextQueryMs) this.#queryIn(pauseMs);
  }

  #take(answer: DnsAnswer): void {
    const next = this.#nextRecords(answer);
    this.#events.answered(this.question, answer, answer.kind === "found" ? 0 : next.length);
    this.#use(next);
  }

  #use(next: readonly DnsRecord[]): void {
    if (textOf(next) === textOf(this.records)) return;
    this.records = next;
    this.#events.changed(this.question, next);
  }

  #nextRecords(answer: DnsAnswer): readonly DnsRecord[] {
    if (answer.kind !== "found") {
      this.#misses++;
      if (answer.kind === "failed") return this.records;
      const nowMs = this.#timers.nowMs();
      this.#emptySinceMs ??= nowMs;
      return nowMs - this.#emptySinceMs < emptyHoldMs ? this.records : Object.freeze([]);
    }
    this.#misses = 0;
    this.#emptySinceMs = undefined;
    return sorted([...answer.records, ...this.records.filter((record) => answer.unknown.includes(familyOf(record)))]);
  }

  #pauseMs(answer: DnsAnswer): number {
    const { minTtlMs, maxTtlMs } = this.spec;
    const pauseMs =
      answer.kind === "found"
        ? Math.min(Math.max(answer.ttlMs, minTtlMs), maxTtlMs)
        : Math.min(minRetryMs * 2 ** (this.#misses - 1), minTtlMs);
    return pauseMs * (1 + jitter * this.#timers.randomFraction());
  }
}

/** By text, each once. */
function sorted(records: readonly DnsRecord[]): readonly DnsRecord[] {
  const byText = new Map(records.map((record) => [recordText(record), record]));
  return Object.freeze([...byText].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, record]) => record));
}

const recordText = ({ address, port }: DnsRecord): string => `${address} ${port}`;

const textOf = (records: readonly DnsRecord[]): string => records.map(recordText).join();

const familyOf = ({ address }: DnsRecord): AddressFamily => (address.includes(":") ? 6 : 4);

/** Resolves every name of the snapshots once, however many endpoints and snapshots share it. */
export class DnsResolver {
  readonly #lookup: DnsLookup;
  readonly #timers: DnsTimers;
  readonly #events: DnsEvents;
  #sources: ReadonlyMap<string, DnsSource> = new Map();
  #changed: () => void = () => {};

  constructor(lookup: DnsLookup, timers: DnsTimers, events: DnsEvents) {
    this.#lookup = lookup;
    this.#timers = timers;
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
   * Starts to resolve names before they are followed, and waits for the first answer of each or for `maxMs`, so that a
   * snapshot starts with endpoints.
   */
  async prepare(questions: readonly DnsQuestion[], spec: DnsSpec, maxMs: number): Promise<void> {
    this.#sources = this.#with(questions, spec, new Map(this.#sources));
    const first = Promise.all(questions.map((question) => this.#sources.get(questionKey(question))?.first));
    const { promise: timeout, resolve } = Promise.withResolvers<void>();
    const cancel = this.#timers.schedule(maxMs, resolve);
    await Promise.race([first, timeout]);
    cancel();
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
        new DnsSource(question, spec, this.#lookup, this.#timers, this.#events);
      source.spec = spec;
      sources.set(key, source);
    }
    return sources;
  }
}
