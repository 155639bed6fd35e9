import type { RandomFraction } from "./balancer.ts";
import type { DnsLookup } from "./dns-lookup.ts";
import type { DnsAnswer, DnsQuestion, DnsRecord, DnsSpec } from "./dns-question.ts";

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
